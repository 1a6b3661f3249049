"""The engine as a whole, event by event: what it sends, what it refuses, how it recovers."""

from __future__ import annotations

from typing import get_args

import pytest

import tests.execution.builders as b
from src.core.actions import (
    Alert,
    CancelOrder,
    OrderChanged,
    OrderStatus,
    Refused,
    RequestReport,
    StoredOrder,
    StoredState,
    TradingState,
)
from src.core.events import (
    BookInvalid,
    BookSnapshot,
    CancelAnswered,
    ClockOffset,
    Command,
    CommandKind,
    Event,
    FeedDown,
    FeedUp,
    LifecycleKind,
    MarketLifecycle,
    MarketUpdate,
    OrderAccepted,
    OrderRejected,
    OrderUnknown,
    ReportFailed,
    Settlement,
    Shutdown,
    Tick,
    VenueOrderStatus,
    VenuePosition,
)
from src.core.sides import BookSide, Outcome
from src.core.units import DOLLAR_CASH, HOUR, MINUTE, SECOND
from src.execution.engine import Engine
from src.execution.limits import ExitPolicy, RiskLimits
from src.execution.risk import Approved

LOOSE = RiskLimits(min_edge=0.02, consecutive_losses=50, cooldown_after_loss=0)


def _gate(actions: list[object]) -> str:
    refusals = [action for action in actions if isinstance(action, Refused)]
    assert len(refusals) == 1, actions
    return refusals[0].result.gate


def _say(engine: Engine, strategy: b.Scripted, ts: int = b.NOW, **what: object) -> list[object]:
    strategy.next = [b.signal(ts=ts, **what)]  # type: ignore[arg-type]
    return list(engine.handle(Tick(ts)))


def _enter(engine: Engine, strategy: b.Scripted, **what: object) -> Approved:
    (approved,) = b.approvals(_say(engine, strategy, **what))  # type: ignore[arg-type]
    return approved


def test_nothing_is_traded_before_the_first_whole_report() -> None:
    """Start-up asks for the records and refuses every signal until they were compared."""
    engine, strategy = b.engine()
    asked = engine.start(StoredState(), b.NOW)
    assert any(isinstance(action, RequestReport) for action in asked)
    engine.handle(FeedUp("market", b.NOW))
    engine.handle(MarketUpdate(b.market(), b.NOW))
    engine.handle(b.snapshot(5_000, 5_200))
    assert _gate(_say(engine, strategy)) == "trading_state"
    engine.handle(ReportFailed("timeout", b.NOW))
    assert engine.control.state is TradingState.RECONCILING
    assert not b.approvals(_say(engine, strategy, cause="forecast:2"))  # type: ignore[arg-type]


def test_an_edge_becomes_one_order_on_the_yes_book() -> None:
    """A YES opinion buys at the ask, a NO opinion sells at the bid, sized by Kelly inside the caps."""
    engine, strategy = b.ready()
    yes = _enter(engine, strategy, probability=0.65)
    assert (yes.intent.side, yes.intent.price) == (BookSide.BID, 5_200)
    assert yes.intent.count > 0
    assert yes.reserved <= 200 * DOLLAR_CASH
    engine, strategy = b.ready()
    no = _enter(engine, strategy, probability=0.65, outcome=Outcome.NO)
    assert (no.intent.side, no.intent.price) == (BookSide.ASK, 5_000)


def test_the_same_cause_never_trades_twice_even_after_a_restart() -> None:
    """Signal identity comes from the cause; the store brings it back."""
    engine, strategy = b.ready()
    first = _enter(engine, strategy)
    assert not b.approvals(_say(engine, strategy))  # type: ignore[arg-type]
    again, strategy = b.engine()
    stored = StoredOrder("", first.intent, OrderStatus.REJECTED, 0, 0, False)
    again.start(StoredState(orders=(stored,), opening_cash=1_000 * DOLLAR_CASH, opening_ts=b.NOW), b.NOW)
    again.handle(FeedUp("market", b.NOW))
    again.handle(b.report())
    again.handle(MarketUpdate(b.market(), b.NOW))
    again.handle(b.snapshot(5_000, 5_200))
    assert again.control.state is TradingState.ACTIVE
    assert not b.approvals(_say(again, strategy))  # type: ignore[arg-type]


def test_an_unanswered_order_keeps_its_reserve_until_the_records_speak() -> None:
    """UNKNOWN reserves in full; the listed order resolves it; the fills release the rest."""
    engine, strategy = b.ready()
    order = _enter(engine, strategy)
    before = engine.ledger.orders.reserved()
    out = engine.handle(OrderUnknown(order.intent.client_order_id, "timeout", b.NOW + SECOND))
    assert any(isinstance(action, RequestReport) for action in out)
    assert engine.ledger.orders.reserved() == before > 0
    fill = b.fill_of(order, order.intent.count, fee=100)
    update = b.order_update(order, order.intent.count, 0, VenueOrderStatus.EXECUTED)
    paid = 1_000 * DOLLAR_CASH - order.intent.count * 5_200 - 100
    held = VenuePosition(b.TICKER, order.intent.count, 0, 0, 0)
    engine.handle(
        b.report(orders=[update], fills=[fill], positions=[held], balance=paid, ts=b.NOW + 2 * SECOND)
    )
    assert b.status_of(engine, order) is OrderStatus.EXECUTED
    assert engine.ledger.orders.reserved() == 0
    assert engine.ledger.portfolio.cash == paid


def test_absence_counts_only_after_the_grace_and_twice() -> None:
    """An unknown order missing from a report may not be readable yet."""
    engine, strategy = b.ready()
    order = _enter(engine, strategy)
    engine.handle(OrderUnknown(order.intent.client_order_id, "timeout", b.NOW + SECOND))
    engine.handle(b.report(ts=b.NOW + 5 * SECOND))
    assert b.status_of(engine, order) is OrderStatus.UNKNOWN
    engine.handle(b.report(ts=b.NOW + 20 * SECOND))
    assert b.status_of(engine, order) is OrderStatus.UNKNOWN
    engine.handle(b.report(ts=b.NOW + 30 * SECOND))
    assert b.status_of(engine, order) is OrderStatus.REJECTED
    assert engine.ledger.orders.reserved() == 0


def test_fills_are_booked_once_in_any_order() -> None:
    """A fill before the acknowledgement, and five times, is one fill."""
    engine, strategy = b.ready()
    order = _enter(engine, strategy)
    fill = b.fill_of(order, 100)
    for _ in range(5):
        engine.handle(fill)
    assert engine.position(b.TICKER) == 100
    engine.handle(OrderAccepted(order.intent.client_order_id, fill.order_id, 100, 0, b.NOW, b.NOW))
    assert engine.position(b.TICKER) == 100


def test_a_fill_after_a_cancel_is_legal() -> None:
    """The cancel's answer may be overtaken by a fill; the position is right all the same."""
    engine, strategy = b.ready()
    order = _enter(engine, strategy)
    count = order.intent.count
    engine.handle(
        OrderAccepted(order.intent.client_order_id, b.fill_of(order, 1).order_id, 0, count, b.NOW, b.NOW)
    )
    out = engine.handle(Shutdown(b.NOW))
    assert any(isinstance(action, CancelOrder) for action in out)
    engine.handle(CancelAnswered(order.intent.client_order_id, "canceled", "", b.NOW, count - 100))
    engine.handle(b.fill_of(order, 100))
    assert engine.position(b.TICKER) == 100
    assert b.status_of(engine, order) is OrderStatus.CANCELED
    assert engine.ledger.orders.reserved() == 0


def test_a_rejected_order_frees_its_reserve() -> None:
    """A definite refusal ends the order."""
    engine, strategy = b.ready()
    order = _enter(engine, strategy)
    out = engine.handle(OrderRejected(order.intent.client_order_id, "insufficient_balance", "", b.NOW))
    assert engine.ledger.orders.reserved() == 0
    assert any(isinstance(action, OrderChanged) and action.status is OrderStatus.REJECTED for action in out)


@pytest.mark.parametrize(
    ("doubt", "gate"),
    [
        (BookInvalid((b.TICKER,), "gap", b.NOW), "no_valid_book"),
        (FeedDown("market", "silent", b.NOW), "no_valid_book"),
        (BookSnapshot(b.TICKER, (), ((5_200, 100),), 2, b.NOW, b.NOW), "book_one_sided"),
        (
            BookSnapshot(b.TICKER, ((5_000, 100_000),), ((5_200, 100_000),), 2, b.NOW - 8 * SECOND, b.NOW),
            "feed_lag",
        ),
        (ClockOffset(3 * SECOND, b.NOW), "clock_offset"),
        (MarketLifecycle(b.TICKER, LifecycleKind.DEACTIVATED, b.NOW), "market_closed"),
        (MarketUpdate(b.market(close_time=b.NOW + MINUTE), b.NOW), "closing_soon"),
    ],
)
def test_no_order_is_priced_from_what_is_in_doubt(doubt: object, gate: str) -> None:
    """Each doubt about the market, the book or the clock refuses entries and names itself."""
    engine, strategy = b.ready()
    engine.handle(doubt)  # type: ignore[arg-type]
    assert _gate(_say(engine, strategy)) == gate


@pytest.mark.parametrize(
    ("limits", "gate"),
    [
        (RiskLimits(min_edge=0.30), "size_no_edge"),
        (RiskLimits(min_edge=0.02, max_trades_per_hour=0), "trades_per_hour"),
        (RiskLimits(min_edge=0.02, max_trades_per_day=0), "trades_per_day"),
        (RiskLimits(min_edge=0.02, max_open_positions=0), "max_open_positions"),
        (RiskLimits(min_edge=0.02, max_position=0), "max_position"),
        (RiskLimits(min_edge=0.02, max_portfolio_heat=0.0), "portfolio_heat"),
        (RiskLimits(min_edge=0.02, max_daily_loss=0), "daily_loss"),
        (RiskLimits(min_edge=0.02, max_signal_age=-1), "signal_age"),
        (RiskLimits(min_edge=0.02, max_account_age=-1), "account_stale"),
        (RiskLimits(min_edge=0.02, consecutive_losses=0), "consecutive_losses"),
    ],
)
def test_every_configured_limit_refuses_by_name(limits: RiskLimits, gate: str) -> None:
    """A limit set to nothing lets nothing through, and says which one it was."""
    engine, strategy = b.ready()
    engine.entry_desk._limits = limits
    engine.control._limits = limits
    assert _gate(_say(engine, strategy)) == gate


def test_concurrent_intents_add_up_before_any_fill() -> None:
    """Six signals in one instant never reserve more than the heat allows."""
    engine, strategy = b.ready(RiskLimits(min_edge=0.02, max_portfolio_heat=0.10, kelly_fraction=1.0))
    tickers = [f"{b.EVENT}-B{50 + 2 * n}.5" for n in range(6)]
    for ticker in tickers:
        engine.handle(MarketUpdate(b.market(ticker), b.NOW))
        engine.handle(b.snapshot(5_000, 5_200, ticker=ticker))
    strategy.next = [b.signal(0.70, ticker=ticker) for ticker in tickers]
    sent = b.approvals(engine.handle(Tick(b.NOW)))
    assert sent
    assert sum(order.reserved for order in sent) <= 100 * DOLLAR_CASH


def test_the_daily_loss_halts_and_only_a_person_clears_it() -> None:
    """A settled loss beyond the limit halts; ticks and reports do not resume; a person does."""
    limits = RiskLimits(
        min_edge=0.02, max_daily_loss=40 * DOLLAR_CASH, kelly_fraction=1.0, consecutive_losses=9
    )
    engine, strategy = b.ready(limits)
    order = _enter(engine, strategy, probability=0.9)
    engine.handle(b.fill_of(order, order.intent.count))
    loss = order.intent.count * 5_200
    assert loss <= 40 * DOLLAR_CASH
    settled = Settlement(b.TICKER, b.EVENT, 0, 0, order.intent.count, 0, b.NOW + HOUR, b.NOW + HOUR)
    late = b.NOW + 2 * HOUR
    engine.handle(b.report(settlements=[settled], balance=1_000 * DOLLAR_CASH - loss, ts=late))
    engine.control.equity.day_start += 10 * DOLLAR_CASH
    engine.handle(Tick(late))
    assert engine.control.state is TradingState.HALTED
    engine.handle(Tick(late + 30 * HOUR))
    engine.handle(Command(CommandKind.RESUME, "owner", "?", late))
    assert engine.control.state is TradingState.HALTED
    engine.handle(Command(CommandKind.CLEAR_HALT, "owner", "looked at it", late + 31 * HOUR))
    engine.handle(b.report(balance=1_000 * DOLLAR_CASH - loss, ts=late + 31 * HOUR))
    assert engine.control.state is TradingState.ACTIVE


def test_a_halt_survives_a_restart() -> None:
    """Who halted and why come back from the store."""
    engine, _ = b.engine()
    engine.start(
        StoredState(
            opening_cash=DOLLAR_CASH,
            opening_ts=b.NOW,
            state=TradingState.HALTED,
            state_who="owner",
            state_why="!",
        ),
        b.NOW,
    )
    engine.handle(b.report(balance=DOLLAR_CASH))
    assert (engine.control.state, engine.control.who) == (TradingState.HALTED, "owner")


def test_positions_that_differ_in_two_reports_halt() -> None:
    """One difference may be read lag; the same one twice is not."""
    engine, _ = b.ready()
    strange = VenuePosition(b.TICKER, 700, 0, 0, 0)
    engine.handle(b.report(positions=[strange], ts=b.NOW + MINUTE))
    assert engine.control.state is TradingState.ACTIVE
    engine.handle(b.report(positions=[strange], ts=b.NOW + 2 * MINUTE))
    assert engine.control.state is TradingState.HALTED
    assert "position" in engine.control.why


def test_a_deposit_is_booked_as_external_and_is_no_profit() -> None:
    """Cash that no fill explains is the owner's doing once two reports agree on it."""
    engine, _ = b.ready()
    for minutes in (1, 2):
        out = engine.handle(b.report(balance=1_500 * DOLLAR_CASH, ts=b.NOW + minutes * MINUTE))
    assert engine.ledger.portfolio.cash == 1_500 * DOLLAR_CASH
    assert any(isinstance(action, Alert) and action.key == "external_cash" for action in out)
    engine.handle(Tick(b.NOW + 3 * MINUTE))
    assert engine.control.equity.day_pnl == 0


def test_a_restart_rebuilds_cash_and_position_from_the_fills() -> None:
    """Live orders come back UNKNOWN with their reserve; the ledger's arithmetic is the same."""
    engine, strategy = b.ready()
    order = _enter(engine, strategy)
    fill = b.fill_of(order, 100, fee=1_800)
    engine.handle(fill)
    again, _ = b.engine()
    stored = StoredOrder("", order.intent, OrderStatus.PARTIALLY_FILLED, 100, 0, False)
    again.start(
        StoredState(orders=(stored,), fills=(fill,), opening_cash=1_000 * DOLLAR_CASH, opening_ts=b.NOW),
        b.NOW,
    )
    assert again.ledger.portfolio.cash == engine.ledger.portfolio.cash
    assert again.position(b.TICKER) == 100
    assert b.status_of(again, order) is OrderStatus.UNKNOWN
    assert again.ledger.orders.reserved() > 0


def test_a_price_stop_needs_two_looks_and_a_two_sided_book() -> None:
    """A one-sided flash triggers nothing; a slide seen twice, five seconds apart, leaves by IOC."""
    engine, strategy = b.ready(LOOSE, {"scripted": ExitPolicy()})
    order = _enter(engine, strategy)
    engine.handle(b.fill_of(order, order.intent.count))
    engine.handle(BookSnapshot(b.TICKER, (), ((5_200, 100),), 2, b.NOW, b.NOW))
    assert not b.approvals(engine.handle(Tick(b.NOW + 10 * SECOND)))
    late = b.NOW + 20 * SECOND
    engine.handle(b.snapshot(3_000, 3_200, ts=late))
    assert not b.approvals(engine.handle(Tick(late)))
    (leave,) = b.approvals(engine.handle(Tick(late + 6 * SECOND)))
    assert leave.intent.reduce_only
    assert (leave.intent.side, leave.intent.count) == (BookSide.ASK, order.intent.count)
    assert leave.intent.price == 2_900
    assert leave.reserved == 0


def test_exits_go_out_while_halted_and_entries_do_not() -> None:
    """A halt never blocks the way out."""
    engine, strategy = b.ready(LOOSE)
    order = _enter(engine, strategy)
    engine.handle(b.fill_of(order, order.intent.count))
    engine.handle(Command(CommandKind.HALT, "owner", "!", b.NOW))
    assert _gate(_say(engine, strategy, cause="forecast:9")) == "trading_state"
    engine.handle(Command(CommandKind.FLATTEN, "owner", "!", b.NOW))
    assert len(b.approvals(engine.handle(Tick(b.NOW + SECOND)))) == 1


def test_a_thesis_exit_leaves_when_the_market_pays_more_than_we_think() -> None:
    """Held-to-settlement positions watch the opinion, not the price."""
    engine, strategy = b.ready(LOOSE, {"scripted": ExitPolicy(price_stop=False, thesis_margin=0.02)})
    order = _enter(engine, strategy)
    engine.handle(b.fill_of(order, order.intent.count))
    strategy.fair = 0.60
    assert not b.approvals(engine.handle(Tick(b.NOW + SECOND)))
    strategy.fair = 0.40
    assert len(b.approvals(engine.handle(Tick(b.NOW + 2 * SECOND)))) == 1


def test_a_stopped_out_event_is_not_entered_again() -> None:
    """The same side of the same event stays closed after a stop."""
    engine, strategy = b.ready(LOOSE, {"scripted": ExitPolicy()})
    order = _enter(engine, strategy)
    engine.handle(b.fill_of(order, order.intent.count))
    late = b.NOW + 20 * SECOND
    engine.handle(b.snapshot(3_000, 3_200, ts=late))
    engine.handle(Tick(late))
    (leave,) = b.approvals(engine.handle(Tick(late + 6 * SECOND)))
    engine.handle(b.fill_of(leave, leave.intent.count, trade="t2"))
    assert engine.position(b.TICKER) == 0
    assert _gate(_say(engine, strategy, cause="forecast:7", ts=late + 7 * SECOND)) == "stopped_out"


def test_only_the_risk_module_can_approve() -> None:
    """An Approved built elsewhere is a programming error that stops at once."""
    engine, strategy = b.ready()
    intent = _enter(engine, strategy).intent
    with pytest.raises(AssertionError, match="only execution"):
        Approved(intent, 0, object())


def test_a_mark_of_another_size_is_not_the_value_of_this_one() -> None:
    """With the book in doubt a position that has grown is carried at cost, not at its old mark."""
    engine, strategy = b.ready(LOOSE)
    order = _enter(engine, strategy)
    engine.handle(b.fill_of(order, 100))
    engine.handle(Tick(b.NOW + SECOND))
    engine.handle(b.fill_of(order, 100, trade="t2"))
    engine.handle(BookInvalid((b.TICKER,), "gap", b.NOW + 2 * SECOND))
    position = engine.ledger.portfolio.get(b.TICKER)
    assert position is not None
    assert engine.equity() == engine.ledger.portfolio.cash + position.cost


def test_every_type_of_event_has_its_handler() -> None:
    """An event that nobody handles would stop the daemon at its first arrival."""
    engine, _ = b.engine()
    assert set(engine._routes) == set(get_args(Event))
