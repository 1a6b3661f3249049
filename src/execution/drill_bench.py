"""A real engine on a synthetic exchange, for drills: nothing it approves is ever sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from src.core.actions import OrderStatus, Refused, StoredOrder, StoredState
from src.core.events import (
    AccountReport,
    BookSnapshot,
    ClockOffset,
    Event,
    ExchangeStatus,
    FeedUp,
    Fill,
    MarketUpdate,
    Tick,
    VenuePosition,
)
from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus
from src.core.ports import MarketView
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
from src.execution.engine import Action, Engine
from src.execution.limits import CorrelatedGroup, ExitPolicy, ReconcilePolicy, RiskLimits
from src.execution.risk import Approved

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


class DrillStrategy:
    """Says what a drill wants it to say."""

    name = STRATEGY

    def __init__(self) -> None:
        self.next: list[Signal] = []

    def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
        """Hand out what was prepared."""
        said, self.next = self.next, []
        return said

    def fair_probability(self, view: MarketView, ticker: str) -> float | None:
        """No opinion: exits by opinion are not drilled here."""
        return None


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


class Bench:
    """The engine, reconciled and ready: one open market at 0.10 / 0.11 and whatever is held."""

    def __init__(
        self,
        limits: RiskLimits,
        held: Sequence[Held] = (),
        *,
        balance: Cash = 1_000_000 * DOLLAR_CASH,
        price_stop: bool = False,
        values: dict[str, str] | None = None,
        exits: Sequence[StoredOrder] = (),
        shards: tuple[tuple[int, Cash], ...] = (),
        reports: bool = True,
        clock_known: bool = True,
        status_known: bool = True,
    ) -> None:
        self.strategy = DrillStrategy()
        self.limits = limits
        self._held, self._balance, self._shards = held, balance, shards
        policy = ExitPolicy(price_stop=price_stop)
        self.engine = Engine([self.strategy], limits, ReconcilePolicy(), {STRATEGY: policy})
        bought = [_bought(item) for item in held]
        stored = StoredState(
            orders=(*(order for order, _ in bought), *exits),
            fills=tuple(fill for _, fill in bought),
            opening_cash=balance + sum(item.count * PAID for item in held),
            opening_ts=NOW - DAY,
            values=values or {},
        )
        self.engine.start(stored, NOW)
        self.hear(FeedUp("market", NOW))
        if clock_known:
            self.hear(ClockOffset(0, NOW))
        if status_known:
            self.hear(ExchangeStatus(True, True, NOW))
        self.hear(MarketUpdate(market(TICKER), NOW), quote(TICKER, BID, ASK))
        for item in held:
            if item.ticker != TICKER:
                self.hear(MarketUpdate(market(item.ticker), NOW))
            if item.quote is not None:
                self.hear(quote(item.ticker, *item.quote))
        if reports:
            self.hear(self.report())

    def hear(self, *events: Event) -> list[Action]:
        """What the engine makes of events."""
        return [action for event in events for action in self.engine.handle(event)]

    def report(self, ts: Nanos = NOW, strange: Count = 0) -> AccountReport:
        """The venue's records, ``strange`` contracts of which nobody ordered."""
        positions = [
            VenuePosition(
                item.ticker, item.count if item.outcome is Outcome.YES else -item.count, item.cost, 0, 0
            )
            for item in self._held
        ]
        if strange:
            positions.append(VenuePosition(ELSEWHERE, strange, 0, 0, 0))
        return AccountReport(
            (), (), (), tuple(positions), self._balance, ts, ts, ts, self._shards, at_once=True
        )

    def say(self, signal: Signal, ts: Nanos = NOW) -> str:
        """The gate that refuses a signal, "approved", or "" when nothing came of it."""
        return verdict(self.said(signal, ts))

    def said(self, signal: Signal, ts: Nanos = NOW) -> list[Action]:
        """Everything the engine does about a signal."""
        self.strategy.next = [replace(signal, ts=ts)]
        return self.hear(Tick(ts))

    def late(self, signal: Signal, ts: Nanos) -> str:
        """The verdict on a signal that was made now and is heard of at ``ts``."""
        self.strategy.next = [signal]
        return verdict(self.hear(Tick(ts)))


def verdict(actions: Sequence[Action]) -> str:
    """What became of the one signal in a list of actions."""
    for action in actions:
        if isinstance(action, Refused):
            return action.result.gate
        if isinstance(action, Approved) and action.intent.purpose is Purpose.ENTRY:
            return "approved"
    return ""


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
    bought, _ = _bought(Held(TICKER, DOLLAR_CASH))
    intent = replace(
        bought.intent,
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


def _bought(item: Held) -> tuple[StoredOrder, Fill]:
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
