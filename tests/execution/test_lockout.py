"""A refusal that only a person can mend halts, and is not asked for again until they cleared it."""

from __future__ import annotations

import pytest

import tests.execution.builders as b
from src.core.actions import Alert, CancelOrder, RequestReport, Severity, TradingState
from src.core.events import (
    CancelAnswered,
    Command,
    CommandKind,
    Event,
    FeedDown,
    FeedUp,
    OrderAccepted,
    OrderRejected,
    ReportFailed,
    Tick,
)
from src.core.units import MINUTE, SECOND, Nanos
from src.execution.engine import Action, Engine

WHY = "HTTP 401: authentication_error: check the key"


def asks(actions: list[Action]) -> list[Action]:
    return [action for action in actions if isinstance(action, RequestReport)]


def clear(ts: Nanos) -> Command:
    return Command(CommandKind.CLEAR_HALT, "owner", "new key", ts)


@pytest.mark.parametrize(
    "refusal",
    [
        ReportFailed(WHY, b.NOW, fatal=True),
        FeedDown("market", WHY, b.NOW, fatal=True),
        FeedDown("exchange", WHY, b.NOW, fatal=True),
    ],
)
def test_a_refusal_halts_at_once_with_its_reason_and_one_critical_alert(refusal: Event) -> None:
    engine, _ = b.ready()
    said = engine.handle(refusal)
    assert (engine.control.state, engine.control.why) == (TradingState.HALTED, WHY)
    alerts = [action for action in said if isinstance(action, Alert)]
    assert [alert.severity for alert in alerts] == [Severity.CRITICAL]
    assert WHY in alerts[0].text
    again = engine.handle(ReportFailed(WHY, b.NOW, fatal=True))
    assert not [action for action in again if isinstance(action, Alert)]


def test_nothing_is_asked_of_an_exchange_that_refuses_us_until_the_halt_is_cleared() -> None:
    """An hour of ticks and reconnects: no request; the person's command asks at once."""
    engine, _ = b.ready()
    engine.handle(ReportFailed(WHY, b.NOW, fatal=True))
    asked: list[Action] = []
    for second in range(0, 3_600, 5):
        asked += asks(engine.handle(Tick(b.NOW + second * SECOND)))
        asked += asks(engine.handle(FeedUp("market", b.NOW + second * SECOND)))
    assert asked == []
    later = b.NOW + 3_601 * SECOND
    assert len(asks(engine.handle(clear(later)))) == 1
    engine.handle(b.report(ts=later + SECOND))
    assert engine.control.state is TradingState.ACTIVE


def test_a_failure_that_may_pass_is_asked_again_and_does_not_halt() -> None:
    engine, _ = b.ready()
    engine.handle(ReportFailed("HTTP 503", b.NOW))
    assert engine.control.state is TradingState.ACTIVE
    assert asks(engine.handle(Tick(b.NOW + MINUTE)))


def rested(engine: Engine, strategy: b.Scripted) -> str:
    strategy.next = [b.signal()]
    (approved,) = b.approvals(engine.handle(Tick(b.NOW)))
    intent = approved.intent
    engine.handle(OrderAccepted(intent.client_order_id, "o1", 0, intent.count, b.NOW, b.NOW))
    return intent.client_order_id


def test_a_resting_order_is_cancelled_once_and_the_refused_cancel_asks_nothing() -> None:
    """Its reserve stays: what became of it only the records can tell."""
    engine, strategy = b.ready()
    order = rested(engine, strategy)
    said = engine.handle(ReportFailed(WHY, b.NOW, fatal=True))
    assert [each.client_order_id for each in said if isinstance(each, CancelOrder)] == [order]
    after = engine.handle(CancelAnswered(order, "failed", WHY, b.NOW))
    for second in range(1, 600):
        after += engine.handle(Tick(b.NOW + second * SECOND))
    assert not [each for each in after if isinstance(each, CancelOrder | RequestReport)]
    assert engine.ledger.orders.reserved() > 0


def test_a_refused_order_halts_and_exits_are_tried_once_a_minute() -> None:
    """No halt blocks exits, but a key that may not trade is not shown every five seconds."""
    engine, strategy = b.ready()
    strategy.next = [b.signal()]
    (approved,) = b.approvals(engine.handle(Tick(b.NOW)))
    engine.handle(b.fill_of(approved, approved.intent.count, approved.intent.price))
    engine.handle(
        OrderAccepted(approved.intent.client_order_id, "o1", approved.intent.count, 0, b.NOW, b.NOW)
    )
    engine.handle(Command(CommandKind.FLATTEN, "owner", "", b.NOW))
    tried: list[Nanos] = []
    for second in range(1, 300):
        now = b.NOW + second * SECOND
        for leave in b.approvals(engine.handle(Tick(now))):
            tried.append(now)
            rejected = OrderRejected(leave.intent.client_order_id, "forbidden", WHY, now, fatal=True)
            engine.handle(rejected)
    assert engine.control.state is TradingState.HALTED
    assert [(ts - tried[0]) // SECOND for ts in tried] == [0, 60, 120, 180, 240]
