"""Small builders of core objects for the execution tests."""

from __future__ import annotations

from collections.abc import Sequence

from src.core.actions import OrderStatus, StoredState, TradingState
from src.core.events import (
    AccountReport,
    BookSnapshot,
    Event,
    FeedUp,
    Fill,
    MarketUpdate,
    OrderUpdate,
    Settlement,
    VenueOrderStatus,
    VenuePosition,
)
from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus, Strike, StrikeKind
from src.core.ports import MarketView
from src.core.sides import Outcome
from src.core.signal import Signal, make_signal_id
from src.core.units import DAY, DOLLAR_CASH, HOUR, SECOND, Cash, Count, Nanos, Price
from src.execution.engine import Action, Engine
from src.execution.limits import EntryPolicy, ExitPolicy, ReconcilePolicy, RiskLimits
from src.execution.risk import Approved

NOW: Nanos = 1_795_420_800 * SECOND
EVENT = "KXHIGHNY-26NOV24"
TICKER = f"{EVENT}-B50.5"


def market(ticker: str = TICKER, close_time: Nanos = NOW + DAY) -> Market:
    """An open market on the cent grid with the standard fees."""
    return Market(
        ticker=ticker,
        event_ticker=ticker.rpartition("-")[0],
        series_ticker="KXHIGHNY",
        status=MarketStatus.ACTIVE,
        open_time=NOW - HOUR,
        close_time=close_time,
        grid=LINEAR_CENT,
        fees=FeeSchedule(),
        strike=Strike(StrikeKind.BETWEEN, 50, 51),
    )


def snapshot(
    bid: Price, ask: Price, size: Count = 100_000, ticker: str = TICKER, ts: Nanos = NOW
) -> BookSnapshot:
    """A two-sided book of one level."""
    return BookSnapshot(ticker, ((bid, size),), ((ask, size),), 1, ts, ts)


def signal(
    probability: float = 0.60,
    outcome: Outcome = Outcome.YES,
    cause: str = "forecast:1",
    ticker: str = TICKER,
    ts: Nanos = NOW,
) -> Signal:
    """An opinion of the strategy called ``scripted``."""
    return Signal(
        signal_id=make_signal_id("scripted", cause, ticker, outcome),
        strategy="scripted",
        ticker=ticker,
        event_ticker=ticker.rpartition("-")[0],
        outcome=outcome,
        probability=probability,
        std_error=0.01,
        min_edge=0.0,
        cause_id=cause,
        cause_ts=ts,
        ts=ts,
    )


class Scripted:
    """A strategy that says what it is told to say, once, on the next event."""

    name = "scripted"

    def __init__(self) -> None:
        self.next: list[Signal] = []
        self.fair: float | None = None

    def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
        """Hand out what was scripted."""
        said, self.next = self.next, []
        return said

    def fair_probability(self, view: MarketView, ticker: str) -> float | None:
        """The scripted fair value."""
        return self.fair


def report(
    *,
    balance: Cash = 1_000 * DOLLAR_CASH,
    orders: Sequence[OrderUpdate] = (),
    fills: Sequence[Fill] = (),
    settlements: Sequence[Settlement] = (),
    positions: Sequence[VenuePosition] = (),
    ts: Nanos = NOW,
) -> AccountReport:
    """A whole account report, read in one instant."""
    return AccountReport(
        tuple(orders),
        tuple(fills),
        tuple(settlements),
        tuple(positions),
        balance,
        ts,
        ts,
        ts,
        at_once=True,
    )


def fill_of(
    approved: Approved, count: Count, price: Price | None = None, trade: str = "t1", fee: Cash = 0
) -> Fill:
    """A fill of an approved order, from the private feed."""
    intent = approved.intent
    return Fill(
        trade,
        f"venue-{intent.client_order_id[:8]}",
        intent.client_order_id,
        intent.ticker,
        intent.side,
        price if price is not None else intent.price,
        count,
        fee,
        True,
        NOW + SECOND,
        NOW + SECOND,
    )


def order_update(
    approved: Approved, filled: Count, remaining: Count, status: VenueOrderStatus, ts: Nanos = NOW + SECOND
) -> OrderUpdate:
    """The venue's view of an approved order."""
    intent = approved.intent
    return OrderUpdate(
        f"venue-{intent.client_order_id[:8]}",
        intent.client_order_id,
        intent.ticker,
        intent.side,
        intent.price,
        intent.count,
        filled,
        remaining,
        status,
        ts,
        ts,
    )


def engine(
    limits: RiskLimits | None = None,
    exits: dict[str, ExitPolicy] | None = None,
    entries: dict[str, EntryPolicy] | None = None,
) -> tuple[Engine, Scripted]:
    """A fresh engine with the scripted strategy."""
    strategy = Scripted()
    built = Engine([strategy], limits or RiskLimits(min_edge=0.02), ReconcilePolicy(), exits or {}, entries)
    return built, strategy


def ready(
    limits: RiskLimits | None = None,
    exits: dict[str, ExitPolicy] | None = None,
    balance: Cash = 1_000 * DOLLAR_CASH,
    entries: dict[str, EntryPolicy] | None = None,
) -> tuple[Engine, Scripted]:
    """An engine that has reconciled, with one open two-sided market at 0.50 / 0.52."""
    built, strategy = engine(limits, exits, entries)
    built.start(StoredState(), NOW)
    built.handle(FeedUp("market", NOW))
    built.handle(report(balance=balance))
    built.handle(MarketUpdate(market(), NOW))
    built.handle(snapshot(5_000, 5_200))
    assert built.control.state is TradingState.ACTIVE
    return built, strategy


def approvals(actions: Sequence[Action]) -> list[Approved]:
    """The approved orders among actions."""
    return [action for action in actions if isinstance(action, Approved)]


def status_of(built: Engine, approved: Approved) -> OrderStatus:
    """Where an order stands."""
    order = built.ledger.orders.get(approved.intent.client_order_id)
    assert order is not None
    return order.status
