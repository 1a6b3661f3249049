"""What drills are made of: a synthetic market, quotes, signals, holdings, and limits that are wide open."""

from __future__ import annotations

from dataclasses import dataclass, replace

from src.core.actions import OrderStatus, StoredOrder
from src.core.events import (
    BookSnapshot,
    Fill,
)
from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus
from src.core.sides import BookSide, Outcome, to_book
from src.core.signal import (
    OrderIntent,
    Purpose,
    Signal,
    TimeInForce,
    make_client_order_id,
    make_signal_id,
)
from src.core.units import DAY, DOLLAR_CASH, ONE_CONTRACT, SECOND, Cash, Count, Nanos, Price
from src.execution.limits import CorrelatedGroup, RiskLimits

# Monday, 15 June 2026, 14:00 UTC: the middle of a trading day in New York.
NOW: Nanos = 1_781_532_000 * SECOND
STRATEGY = "drill"
SERIES = "KXHIGHNY"
EVENT = f"{SERIES}-26JUN16"
TICKER = f"{EVENT}-B80.5"
ELSEWHERE = "KXDRILL-26JUN16-A"
BID: Price = 1_000
ASK: Price = 1_100
PAID: Price = 5_000
_BROKE: tuple[Price, Price] = (100, 300)
_DEPTH: Count = 1_000_000 * ONE_CONTRACT
_NO_LIMIT: Cash = 10**15

WIDE_OPEN = RiskLimits(
    max_position=_NO_LIMIT,
    max_portfolio_heat=1e6,
    max_event=1e6,
    max_city=1e6,
    max_region=1e6,
    max_category=1e6,
    max_strategy=1e6,
    min_edge=0.0,
    max_daily_loss=_NO_LIMIT,
    max_loss_24h=2.0,
    max_drawdown=2.0,
    max_open_positions=10**6,
    position_timeout=10_000 * DAY,
    max_trades_per_hour=10**6,
    max_trades_per_day=10**6,
    cooldown_after_loss=0,
    stop_loss=1.0,
    consecutive_losses=10**6,
    max_slippage=0.5,
    max_signal_age=10_000 * DAY,
    max_feed_lag=10_000 * DAY,
    max_account_age=10_000 * DAY,
    max_clock_offset=DAY,
    halt_clock_offset=10_000 * DAY,
    min_time_to_close=0,
    min_time_to_pause=0,
)


def only(limits: RiskLimits, *names: str) -> RiskLimits:
    """The user's own value of the named limits, and no other limit at all."""
    return replace(WIDE_OPEN, **{name: getattr(limits, name) for name in names})


@dataclass(frozen=True, slots=True)
class Held:
    """A position that an earlier life of the engine bought at 0.50 for ``cost``.

    ``quote``: bid and ask of its book now, None for no book at all.
    """

    ticker: str
    cost: Cash
    outcome: Outcome = Outcome.YES
    quote: tuple[Price, Price] | None = _BROKE

    @property
    def count(self) -> Count:
        """Contracts, rounded up to whole ones."""
        return -(-self.cost // (PAID * ONE_CONTRACT)) * ONE_CONTRACT


def market(ticker: str, close_time: Nanos = NOW + 4_000 * DAY, shard: int = 0) -> Market:
    """An open market on the cent grid."""
    event_ticker = ticker.rpartition("-")[0]
    series_ticker = event_ticker.partition("-")[0]
    return Market(
        ticker=ticker,
        event_ticker=event_ticker,
        series_ticker=series_ticker,
        status=MarketStatus.ACTIVE,
        open_time=NOW - DAY,
        close_time=close_time,
        grid=LINEAR_CENT,
        fees=FeeSchedule(),
        exchange_index=shard,
    )


def quote(ticker: str, bid: Price, ask: Price, ts: Nanos = NOW, sent: Nanos | None = None) -> BookSnapshot:
    """A deep two-sided book. ``sent``: the exchange's own time, if it is another."""
    return BookSnapshot(ticker, ((bid, _DEPTH),), ((ask, _DEPTH),), 1, sent if sent is not None else ts, ts)


def signal(
    cause: str = "drill",
    outcome: Outcome = Outcome.YES,
    probability: float = 0.99,
    quoted: Price | None = None,
) -> Signal:
    """A strong opinion about the bench's market."""
    return Signal(
        signal_id=make_signal_id(STRATEGY, cause, TICKER, outcome),
        strategy=STRATEGY,
        ticker=TICKER,
        event_ticker=EVENT,
        outcome=outcome,
        probability=probability,
        std_error=0.0,
        min_edge=0.0,
        cause_id=cause,
        cause_ts=NOW,
        ts=NOW,
        quoted=quoted,
    )


def stopped_out() -> StoredOrder:
    """An exit by price stop out of the bench's market, in an earlier life."""
    earlier, _ = bought(Held(TICKER, DOLLAR_CASH))
    intent = replace(
        earlier.intent,
        client_order_id=make_client_order_id("drill stop"),
        signal_id="drill stop",
        strategy=f"{STRATEGY}:stop_loss",
        side=BookSide.ASK,
        purpose=Purpose.EXIT,
        reduce_only=True,
    )
    return StoredOrder("", intent, OrderStatus.CANCELED, 0, 0, False)


def group_of(limits: RiskLimits) -> CorrelatedGroup:
    """A group of the bench's series and another: the user's own first one by its share, if there is any."""
    share = limits.groups[0].max_share if limits.groups else 0.10
    return CorrelatedGroup("drill", frozenset({SERIES, ELSEWHERE.partition("-")[0]}), share)


def bought(item: Held) -> tuple[StoredOrder, Fill]:
    """The order and the fill that a holding comes from."""
    signal_id = make_signal_id(STRATEGY, "drill: earlier", item.ticker, item.outcome)
    client_order_id = make_client_order_id(signal_id)
    side, yes_price = to_book(item.outcome, PAID)
    # A day old, so that it counts neither among the hour's nor among the day's trades.
    ts = NOW - DAY
    intent = OrderIntent(
        client_order_id=client_order_id,
        signal_id=signal_id,
        strategy=STRATEGY,
        ticker=item.ticker,
        event_ticker=item.ticker.rpartition("-")[0],
        side=side,
        price=yes_price,
        count=item.count,
        time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL,
        purpose=Purpose.ENTRY,
        created_ts=ts,
        trace_id=signal_id,
    )
    order_id = f"venue {client_order_id}"
    fill = Fill(
        f"trade {client_order_id}",
        order_id,
        client_order_id,
        item.ticker,
        side,
        yes_price,
        item.count,
        0,
        True,
        ts,
        ts,
    )
    return StoredOrder(order_id, intent, OrderStatus.EXECUTED, item.count, 0, False), fill
