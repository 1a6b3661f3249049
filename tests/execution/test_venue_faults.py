"""What the exchange's records and terms can do to us while we run: failed reads, fees, vanished listings."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

import tests.execution.builders as b
from src.core.actions import Alert, Refused, Severity, TradingState
from src.core.events import (
    Fill,
    MarketUpdate,
    OrderUpdate,
    ReportFailed,
    Tick,
    VenueOrderStatus,
    VenuePosition,
)
from src.core.fees import CENT, CENTICENT, FeeAccumulator, FeeSchedule
from src.core.sides import BookSide
from src.core.units import DOLLAR_CASH, MINUTE, SECOND, Nanos
from src.execution.engine import Action, Engine
from src.execution.fee_check import is_explained
from src.execution.limits import ExitPolicy, RiskLimits


def _gates(actions: list[Action]) -> list[str]:
    return [action.result.gate for action in actions if isinstance(action, Refused)]


def _alerts(actions: list[Action], key: str) -> list[Alert]:
    return [action for action in actions if isinstance(action, Alert) and action.key.startswith(key)]


def _held(limits: RiskLimits) -> tuple[Engine, b.Scripted, Nanos]:
    """An engine with a position of its own, and the time."""
    engine, strategy = b.ready(limits, {"scripted": ExitPolicy(price_stop=False, thesis_margin=0.01)})
    strategy.next = [b.signal()]
    (order,) = b.approvals(engine.handle(Tick(b.NOW)))
    engine.handle(b.fill_of(order, order.intent.count))
    engine.handle(b.order_update(order, order.intent.count, 0, VenueOrderStatus.EXECUTED))
    return engine, strategy, b.NOW + SECOND


def test_records_that_cannot_be_read_stop_entries_and_not_exits() -> None:
    """Positions or balance unreadable for minutes: unknown is not flat. Entries stop at the age limit by
    name; a thesis exit leaves all the same; nothing is retired, nothing halts."""
    engine, strategy, now = _held(RiskLimits(min_edge=0.02, cooldown_after_loss=0))
    held = engine.position(b.TICKER)
    other = f"{b.EVENT}-B52.5"
    engine.handle(MarketUpdate(b.market(other), now))
    asked_again = 0
    for minute in range(7):
        now = b.NOW + minute * MINUTE + 2 * SECOND
        out = engine.handle(ReportFailed("HTTP 503", now))
        assert [alert.severity for alert in _alerts(out, "report_failed")] == [Severity.WARNING]
        asked_again += len(engine.handle(Tick(now + 3 * SECOND)))
    assert asked_again, "the records are asked for again"
    engine.handle(b.snapshot(5_000, 5_200, ticker=other, ts=now))
    engine.handle(b.snapshot(5_000, 5_200, ts=now))
    strategy.next = [b.signal(ticker=other, ts=now)]
    assert _gates(engine.handle(Tick(now))) == ["account_stale"]
    assert engine.position(b.TICKER) == held
    strategy.fair = 0.10
    (leaving,) = b.approvals(engine.handle(Tick(now + SECOND)))
    assert leaving.intent.reduce_only
    assert engine.control.state is TradingState.ACTIVE


def test_a_market_missing_from_a_listing_is_not_closed_and_stays_held() -> None:
    """Only what the exchange says about a market changes it: silence about it retires nothing."""
    engine, strategy, now = _held(RiskLimits(min_edge=0.02))
    for number in range(3):
        engine.handle(MarketUpdate(b.market(f"{b.EVENT}-B{60 + number}.5"), now))
    assert engine.market(b.TICKER) is not None
    assert engine.position(b.TICKER) > 0
    strategy.fair = 0.10
    engine.handle(b.snapshot(5_000, 5_200, ts=now))
    assert len(b.approvals(engine.handle(Tick(now)))) == 1, "its exit is still evaluated"


def test_a_changed_fee_counts_for_the_next_order() -> None:
    """The edge left after the new fee decides; the old one would have traded."""
    engine, strategy = b.ready(RiskLimits(min_edge=0.02))
    dear = replace(b.market(), fees=FeeSchedule(multiplier_e4=60_000))
    engine.handle(MarketUpdate(dear, b.NOW))
    engine.handle(b.snapshot(5_000, 5_200))
    strategy.next = [b.signal(probability=0.60)]
    assert b.approvals(engine.handle(Tick(b.NOW))) == []
    cheap, other = b.ready(RiskLimits(min_edge=0.02))
    other.next = [b.signal(probability=0.60)]
    assert len(b.approvals(cheap.handle(Tick(b.NOW)))) == 1


@pytest.mark.parametrize("scale", [101, 110, 99])
def test_a_fee_one_percent_off_is_told_at_the_first_fill(scale: int) -> None:
    """What the exchange charged is booked; that our schedule does not explain it is said."""
    engine, strategy = b.ready()
    strategy.next = [b.signal()]
    (order,) = b.approvals(engine.handle(Tick(b.NOW)))
    count = order.intent.count // 100 * 100
    right = FeeSchedule().trade_fee(order.intent.price, count, is_taker=True)
    wrong = right * scale // 100 // CENTICENT * CENTICENT
    before = engine.ledger.portfolio.cash
    out = engine.handle(b.fill_of(order, count, fee=wrong))
    (alert,) = _alerts(out, "fee:")
    assert alert.severity is Severity.WARNING
    assert engine.ledger.portfolio.cash == before - order.intent.price * count - wrong


@pytest.mark.parametrize("precision", [CENTICENT, CENT])
def test_no_fee_that_the_published_rule_gives_is_complained_of(precision: int) -> None:
    """Ten thousand fills through the accumulator at each account precision, taker and maker."""
    dice = Random(precision)
    for _ in range(2_000):
        accumulator = FeeAccumulator(precision)
        side = dice.choice((BookSide.BID, BookSide.ASK))
        for number in range(5):
            price, count = dice.randint(1, 99) * 100, dice.randint(1, 5_000)
            schedule, is_taker = FeeSchedule(), dice.random() < 0.5
            unit = price if side is BookSide.BID else 10_000 - price
            fee = accumulator.net_fee(-unit * count, schedule.trade_fee(price, count, is_taker))
            fill = Fill(f"{number}", "o", "c", b.TICKER, side, price, count, fee, is_taker, 1, 1)
            assert is_explained(fill, schedule), fill


def test_the_owners_own_trades_are_booked_told_and_never_traded_against() -> None:
    """A manual order and its fill: the exchange's account is right, a person is told, no counter-trade."""
    engine, _, now = _held(RiskLimits(min_edge=0.02))
    ours = engine.position(b.TICKER)
    cash = engine.ledger.portfolio.cash
    theirs = OrderUpdate(
        "by-hand", "", b.TICKER, BookSide.BID, 5_200, 300, 300, 0, VenueOrderStatus.EXECUTED, now, now
    )
    fill = Fill("hand-1", "by-hand", "", b.TICKER, BookSide.BID, 5_200, 300, 0, True, now, now)
    later = now + MINUTE
    report = b.report(
        balance=cash - 3 * 5_200 * 100,
        orders=[theirs],
        fills=[fill],
        positions=[VenuePosition(b.TICKER, ours + 300, 0, 0, 0)],
        ts=later,
    )
    after = later + MINUTE
    out = engine.handle(report)
    out += engine.handle(replace(report, started_ts=after, as_of=after, ts_recv=after))
    assert engine.position(b.TICKER) == ours + 300
    assert _alerts(out, "external"), "a person is told"
    assert b.approvals(out) == []
    assert engine.control.state is TradingState.ACTIVE
    assert engine.ledger.external_cash == 0


def test_a_daily_loss_that_comes_and_goes_halts_once() -> None:
    """Flapping about the limit twenty times: one halt, one alert, and only a person ends it."""
    limits = RiskLimits(min_edge=0.02, max_daily_loss=10 * DOLLAR_CASH)
    engine, _ = b.ready(limits)
    start = engine.control.equity.day_start
    out: list[object] = []
    for number in range(20):
        swing = -11 if number % 2 == 0 else 5
        out += engine.control.mark_equity(start + swing * DOLLAR_CASH, b.NOW + number * SECOND)
    halts = [item for item in out if isinstance(item, Alert) and item.key == "state:halted"]
    assert len(halts) == 1
    assert engine.control.state is TradingState.HALTED
