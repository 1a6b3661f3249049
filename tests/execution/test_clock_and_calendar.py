"""Clock offsets that refuse and halt; trading days across daylight saving and New York's midnight."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

import tests.execution.builders as b
from src.core.actions import ControlValue, Refused, TradingState
from src.core.events import ClockOffset, StoreHealth, Tick
from src.core.units import DOLLAR_CASH, HOUR, SECOND, Nanos
from src.execution.equity_history import next_trading_day, trading_day
from src.execution.limits import RiskLimits
from src.execution.trading_state import TradingControl

NEW_YORK = ZoneInfo("America/New_York")


def _at(text: str) -> Nanos:
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC).timestamp()) * SECOND


def _refusals(actions: object) -> list[str]:
    return [action.result.gate for action in actions if isinstance(action, Refused)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("offset", [3 * SECOND, -3 * SECOND])
def test_a_clock_some_seconds_off_refuses_entries_by_name(offset: Nanos) -> None:
    engine, strategy = b.ready()
    engine.handle(ClockOffset(offset, b.NOW))
    strategy.next = [b.signal()]
    assert _refusals(engine.handle(Tick(b.NOW))) == ["clock_offset"]
    assert engine.control.state is TradingState.ACTIVE


@pytest.mark.parametrize("offset", [30 * SECOND, -30 * SECOND, -HOUR])
def test_a_clock_thirty_seconds_off_halts_and_says_by_how_much(offset: Nanos) -> None:
    """The halt stays when the clock is right again: a person clears it."""
    engine, strategy = b.ready()
    engine.handle(ClockOffset(offset, b.NOW))
    assert (engine.control.state, engine.control.who) == (TradingState.HALTED, "clock")
    assert f"{offset / SECOND:+.1f} s" in engine.control.why
    engine.handle(ClockOffset(0, b.NOW + SECOND))
    strategy.next = [b.signal()]
    assert b.approvals(engine.handle(Tick(b.NOW + SECOND))) == []
    assert engine.control.state is TradingState.HALTED


def test_a_store_that_is_down_refuses_entries_and_alerts_once_each_way() -> None:
    engine, strategy = b.ready()
    down = [*engine.handle(StoreHealth("refused", b.NOW)), *engine.handle(StoreHealth("refused", b.NOW))]
    strategy.next = [b.signal()]
    assert _refusals(engine.handle(Tick(b.NOW))) == ["store_down"]
    up = [*engine.handle(StoreHealth("", b.NOW)), *engine.handle(StoreHealth("", b.NOW))]
    assert [getattr(action, "key", "") for action in down] == ["store:down"]
    assert [getattr(action, "key", "") for action in up] == ["store:up"]
    strategy.next = [b.signal()]
    assert len(b.approvals(engine.handle(Tick(b.NOW)))) == 1


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-08", 23), ("2026-11-01", 25), ("2026-07-01", 24), ("2026-12-31", 24)]
)
def test_the_trading_day_resets_once_and_lasts_as_long_as_new_yorks_day(day: str, hours: int) -> None:
    """Hour by hour through a day with a clock change: one reset, at midnight in New York."""
    begins = _at(f"{day}T00:00:00")
    ends = next_trading_day(begins)
    assert ends - begins == hours * HOUR
    control = TradingControl(RiskLimits())
    control.mark_equity(100 * DOLLAR_CASH, begins - SECOND)
    resets = []
    for step in range(hours * 60 + 30):
        ts = begins + step * 60 * SECOND
        for record in control.mark_equity((100 + step) * DOLLAR_CASH, ts):
            if isinstance(record, ControlValue) and record.key == "trading_day":
                resets.append((ts, record.value))
    assert [value for _, value in resets] == [day, trading_day(ends)]
    assert [ts for ts, _ in resets] == [begins, ends]


@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01"])
def test_a_daily_loss_before_midnight_still_halts_after_it(day: str) -> None:
    """The day's profit starts anew at New York's midnight; a halt does not end there."""
    control = TradingControl(RiskLimits(max_daily_loss=10 * DOLLAR_CASH))
    midnight = _at(f"{day}T00:00:00")
    control.mark_equity(100 * DOLLAR_CASH, midnight - HOUR)
    control.mark_equity(89 * DOLLAR_CASH, midnight - SECOND)
    assert control.state is TradingState.HALTED
    control.mark_equity(89 * DOLLAR_CASH, midnight)
    assert control.equity.day_pnl == 0
    assert control.state is TradingState.HALTED
