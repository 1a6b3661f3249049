"""Bugs that the fault simulation found, each as the shortest story that shows it."""

from __future__ import annotations

from dataclasses import replace

import tests.execution.builders as b
from src.core.actions import (
    Alert,
    OrderStatus,
    RequestReport,
    StateChanged,
    StoredOrder,
    StoredState,
    TradingState,
)
from src.core.events import (
    AccountReport,
    BookInvalid,
    Command,
    CommandKind,
    FeedDown,
    FeedUp,
    Fill,
    OrderUnknown,
    OrderUpdate,
    Tick,
    VenueOrderStatus,
    VenuePosition,
)
from src.core.sides import BookSide
from src.core.units import DOLLAR_CASH, HOUR, MINUTE, SECOND
from src.execution.engine import Engine
from src.execution.limits import RiskLimits
from src.execution.risk import Approved

CASH = 1_000 * DOLLAR_CASH
LOOSE = RiskLimits(min_edge=0.02, consecutive_losses=50, cooldown_after_loss=0)


def _entry(engine: Engine, strategy: b.Scripted) -> Approved:
    strategy.next = [b.signal(probability=0.65)]
    (approved,) = b.approvals(engine.handle(Tick(b.NOW)))
    return approved


def _foreign_fill(order_id: str, ts: int, count: int = 100) -> Fill:
    return Fill("t-hand", order_id, "", b.TICKER, BookSide.BID, 5_000, count, 0, True, ts, ts)


def _foreign_order(
    filled: int, remaining: int, status: VenueOrderStatus, reason: str, ts: int
) -> OrderUpdate:
    return OrderUpdate(
        "hand", "", b.TICKER, BookSide.BID, 4_000, 100, filled, remaining, status, ts, ts, reason
    )


def test_the_first_report_after_a_long_downtime_reaches_back_to_the_last_one() -> None:
    """What happened while the program was down for hours is read, not booked as the owner's cash."""
    again, _ = b.engine()
    values = {"records_read_until": str(b.NOW)}
    stored = StoredState(opening_cash=CASH, opening_ts=b.NOW - HOUR, values=values)
    (ask,) = [a for a in again.start(stored, b.NOW + 5 * HOUR) if isinstance(a, RequestReport)]
    assert ask.since <= b.NOW


def test_how_far_the_records_were_read_is_stored_after_what_they_brought() -> None:
    """The mark is the last record of a report, so that a crash never skips unread records."""
    engine, _ = b.ready()
    out = engine.handle(b.report(ts=b.NOW + MINUTE))
    assert out[-1].key == "records_read_until"  # type: ignore[union-attr]
    assert out[-1].value == str(b.NOW + MINUTE)  # type: ignore[union-attr]


def test_a_book_received_before_the_doubt_about_it_stays_out() -> None:
    """Doubt overtakes books in the inbox: the older snapshot must not make the book valid again."""
    engine, _ = b.ready()
    engine.handle(BookInvalid((b.TICKER,), "gap", b.NOW + 10))
    engine.handle(b.snapshot(5_000, 5_200, ts=b.NOW + 9))
    assert engine.book(b.TICKER) is None
    engine.handle(b.snapshot(5_000, 5_200, ts=b.NOW + 11))
    assert engine.book(b.TICKER) is not None
    engine.handle(FeedDown("market", "cut", b.NOW + 20))
    engine.handle(b.snapshot(5_000, 5_200, ts=b.NOW + 19))
    engine.handle(FeedUp("market", b.NOW + 21))
    assert engine.book(b.TICKER) is None


def test_an_order_that_has_not_been_answered_is_never_judged_absent() -> None:
    """While the commit or the call takes long, reports without the order prove nothing."""
    engine, strategy = b.ready()
    order = _entry(engine, strategy)
    for seconds in (20, 40, 60):
        engine.handle(b.report(ts=b.NOW + seconds * SECOND))
    assert b.status_of(engine, order) is OrderStatus.PENDING_NEW
    assert engine.ledger.orders.reserved() == order.reserved


def test_listed_fills_count_for_their_order_after_a_restart() -> None:
    """A listing gives the venue's order id only; nothing stays reserved for an order that is over."""
    engine, strategy = b.ready()
    order = _entry(engine, strategy)
    fill = replace(b.fill_of(order, order.intent.count), client_order_id="")
    row = StoredOrder(fill.order_id, order.intent, OrderStatus.EXECUTED, fill.count, 0, False)
    again, _ = b.engine()
    again.start(StoredState(orders=(row,), fills=(fill,), opening_cash=CASH, opening_ts=b.NOW), b.NOW)
    assert again.ledger.orders.reserved() == 0


def test_a_second_crash_during_start_up_does_not_lose_the_halt() -> None:
    """Starting halted stores no weaker state."""
    engine, _ = b.engine()
    halted = StoredState(
        opening_cash=CASH, opening_ts=b.NOW, state=TradingState.HALTED, state_who="owner", state_why="!"
    )
    changes = [a for a in engine.start(halted, b.NOW) if isinstance(a, StateChanged)]
    assert [change.state for change in changes] == [TradingState.HALTED]


def test_a_listing_without_a_reason_does_not_contradict_an_expiry() -> None:
    """An expired order of the owner is listed as canceled for ever: that must not end the program."""
    engine, _ = b.ready()
    engine.handle(_foreign_order(0, 100, VenueOrderStatus.RESTING, "", b.NOW))
    engine.handle(_foreign_order(0, 0, VenueOrderStatus.CANCELED, "ExpiryCancel", b.NOW + SECOND))
    listed = _foreign_order(0, 0, VenueOrderStatus.CANCELED, "", b.NOW + SECOND)
    engine.handle(b.report(orders=[listed], ts=b.NOW + MINUTE))
    order = engine.ledger.orders.get("", "hand")
    assert order is not None
    assert order.status is OrderStatus.EXPIRED


def test_two_reports_within_the_read_lag_are_one_look() -> None:
    """The same stale listing read twice in a second is no mismatch and no deposit."""
    engine, _ = b.ready()
    held = VenuePosition(b.TICKER, 100, 0, 0, 0)
    for seconds in (60, 61):
        engine.handle(b.report(positions=[held], ts=b.NOW + seconds * SECOND))
    assert engine.control.state is TradingState.ACTIVE
    for seconds in (100, 101):
        engine.handle(b.report(balance=CASH + 1, ts=b.NOW + seconds * SECOND))
    assert engine.ledger.portfolio.cash == CASH


def test_a_foreign_order_heard_of_after_its_fill_reserves_nothing() -> None:
    """The fill frame may come first; the order it belongs to is then accounted for already."""
    engine, _ = b.ready()
    engine.handle(_foreign_fill("hand", b.NOW + SECOND))
    engine.handle(_foreign_order(100, 0, VenueOrderStatus.EXECUTED, "", b.NOW + SECOND))
    assert engine.ledger.orders.reserved() == 0


def test_cash_is_compared_while_an_order_of_the_owner_rests() -> None:
    """A resting order must not hide a deposit, or a loss of cash, for as long as it rests."""
    engine, _ = b.ready()
    resting = _foreign_order(0, 100, VenueOrderStatus.RESTING, "", b.NOW)
    for minutes in (1, 2):
        engine.handle(b.report(orders=[resting], balance=CASH + DOLLAR_CASH, ts=b.NOW + minutes * MINUTE))
    assert engine.ledger.external_cash == DOLLAR_CASH


def test_an_order_of_the_owner_does_not_block_our_exit() -> None:
    """Whatever the owner rests in a market, a position there can be left."""
    engine, strategy = b.ready(LOOSE)
    order = _entry(engine, strategy)
    engine.handle(b.fill_of(order, order.intent.count))
    engine.handle(_foreign_order(0, 100, VenueOrderStatus.RESTING, "", b.NOW + SECOND))
    engine.handle(Command(CommandKind.FLATTEN, "owner", "!", b.NOW + SECOND))
    assert len(b.approvals(engine.handle(Tick(b.NOW + 2 * SECOND)))) == 1


def test_the_ledger_waits_with_its_opening_while_the_account_trades() -> None:
    """Positions and cash read a moment later may hold a recent fill already: it would count twice."""
    engine, _ = b.engine()
    engine.start(StoredState(), b.NOW)
    held = VenuePosition(b.TICKER, 100, 500_000, 0, 0)
    fill = _foreign_fill("hand", b.NOW)
    engine.handle(b.report(fills=[fill], positions=[held], ts=b.NOW))
    assert engine.ledger.opening.ts is None
    engine.handle(b.report(fills=[fill], positions=[held], ts=b.NOW + 20 * SECOND))
    assert engine.position(b.TICKER) == 100


def _read_slowly(report: AccountReport, seconds: int) -> AccountReport:
    return replace(report, ts_recv=report.started_ts + seconds * SECOND, at_once=False)


def test_a_trade_between_the_reads_of_the_first_report_is_not_booked_twice() -> None:
    """Its fill was read too early to be listed, its position and cash were not: a second report says so."""
    engine, _ = b.engine()
    engine.start(StoredState(), b.NOW)
    held = VenuePosition(b.TICKER, 100, 500_000, 0, 0)
    engine.handle(_read_slowly(b.report(positions=[held], balance=CASH - 500_000), 5))
    assert engine.ledger.opening.ts is None
    for later in (10, 30):
        fill = _foreign_fill("hand", b.NOW + 3 * SECOND)
        report = b.report(fills=[fill], positions=[held], balance=CASH - 500_000, ts=b.NOW + later * SECOND)
        engine.handle(_read_slowly(report, 5))
        assert engine.ledger.opening.ts is None
    quiet = b.report(fills=[], positions=[held], balance=CASH - 500_000, ts=b.NOW + 40 * SECOND)
    engine.handle(_read_slowly(quiet, 5))
    assert engine.ledger.opening.ts == b.NOW + 40 * SECOND
    assert (engine.position(b.TICKER), engine.ledger.portfolio.cash) == (100, CASH - 500_000)
    assert engine.control.state is TradingState.ACTIVE


def test_two_reports_of_the_same_time_are_one_look_at_the_opening() -> None:
    """The second must be later, by the venue's own stamp, than the last read of the first."""
    engine, _ = b.engine()
    engine.start(StoredState(), b.NOW)
    first = _read_slowly(b.report(), 5)
    second = _read_slowly(b.report(ts=b.NOW + 8 * SECOND), 1)
    for early in (first, replace(second, as_of=b.NOW + 6 * SECOND)):
        engine.handle(early)
        assert engine.ledger.opening.ts is None
    engine.handle(second)
    assert engine.ledger.opening.ts == b.NOW + 8 * SECOND


def test_a_stamp_that_stands_still_does_not_keep_the_ledger_closed() -> None:
    """Then the second look must be later by more than the venue's records lag."""
    engine, _ = b.engine()
    engine.start(StoredState(), b.NOW)
    for later, opened in ((0, False), (10, False), (16, True)):
        report = replace(b.report(ts=b.NOW + later * SECOND), as_of=b.NOW)
        engine.handle(_read_slowly(report, 5))
        assert (engine.ledger.opening.ts is not None) is opened


def test_a_ledger_that_stays_closed_is_told_to_a_person() -> None:
    """An owner who trades by hand all the time keeps it closed; nothing is traded, and that is not silent."""
    engine, _ = b.engine()
    engine.start(StoredState(), b.NOW)
    told = []
    for later in range(0, 100, 10):
        ts = b.NOW + later * SECOND
        fill = _foreign_fill(f"hand{later}", ts - SECOND)
        out = engine.handle(_read_slowly(b.report(fills=[fill], ts=ts), 1))
        told += [action.text for action in out if isinstance(action, Alert)]
    assert engine.ledger.opening.ts is None
    assert told
    assert all("the account is trading" in text for text in told)


def test_a_deposit_between_the_reads_of_the_first_report_is_in_the_opening() -> None:
    """Cash that another report does not confirm opens no ledger."""
    engine, _ = b.engine()
    engine.start(StoredState(), b.NOW)
    engine.handle(_read_slowly(b.report(), 5))
    for later in (10, 20):
        assert engine.ledger.opening.ts is None
        engine.handle(_read_slowly(b.report(balance=2 * CASH, ts=b.NOW + later * SECOND), 5))
    assert (engine.ledger.portfolio.cash, engine.ledger.external_cash) == (2 * CASH, 0)


def test_fills_from_before_a_lost_opening_still_end_their_order() -> None:
    """A crash can lose the opening but not the order sent after it: its fills are in the new opening."""
    engine, strategy = b.ready()
    order = _entry(engine, strategy)
    fill = b.fill_of(order, order.intent.count)
    row = StoredOrder("", order.intent, OrderStatus.PENDING_NEW, 0, order.reserved, False)
    again, _ = b.engine()
    late = b.NOW + MINUTE
    again.start(StoredState(orders=(row,)), late)
    update = b.order_update(order, fill.count, 0, VenueOrderStatus.EXECUTED)
    held = VenuePosition(b.TICKER, fill.count, 0, 0, 0)
    listed = replace(fill, client_order_id="")
    again.handle(b.report(orders=[update], fills=[listed], positions=[held], ts=late))
    assert again.position(b.TICKER) == fill.count
    assert again.ledger.orders.reserved() == 0


def test_an_approved_entry_is_withdrawn_when_a_halt_comes_before_it_leaves() -> None:
    """The commit may take long; right before sending the state is looked at once more."""
    engine, strategy = b.ready()
    order = _entry(engine, strategy)
    assert engine.withdrawn(order) == ""
    engine.handle(Command(CommandKind.HALT, "owner", "!", b.NOW))
    assert "halted" in engine.withdrawn(order)


def test_an_unknown_order_is_still_judged_after_the_grace() -> None:
    """Patience has an end: two whole reports beyond the grace say that it never arrived."""
    engine, strategy = b.ready()
    order = _entry(engine, strategy)
    engine.handle(OrderUnknown(order.intent.client_order_id, "timeout", b.NOW))
    for seconds in (20, 40):
        engine.handle(b.report(ts=b.NOW + seconds * SECOND))
    assert b.status_of(engine, order) is OrderStatus.REJECTED


def _elsewhere(order: Approved, filled: int) -> OrderUpdate:
    """The venue's news of an order that another instance of ours sent under the same id."""
    return b.order_update(order, filled, 0, VenueOrderStatus.CANCELED)


def test_a_replaced_instance_does_not_fall_over_its_successors_order() -> None:
    """It hears of an order with the id it would itself give to the signal: that signal is used."""
    other, strategy = b.ready()
    sent = _entry(other, strategy)
    engine, strategy = b.ready()
    engine.handle(_elsewhere(sent, 0))
    strategy.next = [b.signal(probability=0.65)]
    assert b.approvals(engine.handle(Tick(b.NOW + 2 * SECOND))) == []
    strategy.next = [b.signal(probability=0.65, cause="another")]
    assert len(b.approvals(engine.handle(Tick(b.NOW + 3 * SECOND)))) == 1


def test_a_replaced_instance_does_not_fall_over_its_successors_exit() -> None:
    """The number of an exit attempt that another instance has used is left out."""
    sent: list[Approved] = []
    for _ in range(2):
        engine, strategy = b.ready(LOOSE)
        order = _entry(engine, strategy)
        engine.handle(b.fill_of(order, order.intent.count))
        engine.handle(b.order_update(order, order.intent.count, 0, VenueOrderStatus.EXECUTED))
        if sent:
            engine.handle(_elsewhere(sent[0], 0))
        engine.handle(Command(CommandKind.FLATTEN, "owner", "!", b.NOW + SECOND))
        sent += b.approvals(engine.handle(Tick(b.NOW + 2 * SECOND)))
    assert [order.intent.attempt for order in sent] == [0, 1]
