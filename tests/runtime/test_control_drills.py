"""A control that does nothing stops the start with one clear line, and halts when it dies later."""

from __future__ import annotations

import asyncio

import pytest

from src.core.actions import GateResult
from src.execution import risk
from src.execution.limits import RiskLimits
from src.execution.risk_context import Gate
from src.runtime.app import run_daemon
from src.runtime.control_drills import DRILL_EVERY_S, ControlDrillError, keep_drilling, require_controls
from src.runtime.settings import Settings
from src.runtime.settings_mode import Mode


@pytest.fixture
def dead_book_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of the book lets everything pass."""
    dead = Gate("book", lambda c, limits: GateResult("book", True, {}))
    controls = tuple(dead if each.name == "book" else each for each in risk.CONTROLS)
    monkeypatch.setattr(risk, "CONTROLS", controls)


def test_living_controls_let_the_start_go_on() -> None:
    """The shipped limits pass."""
    require_controls(RiskLimits())


@pytest.mark.usefixtures("dead_book_gate")
async def test_the_daemon_does_not_start_with_a_dead_control(tmp_path: object) -> None:
    """Before anything is reached or opened, the control is named in one line."""
    with pytest.raises(ControlDrillError, match=r"nothing will be traded: book: ") as caught:
        await run_daemon(Settings(), Mode.PAPER, tmp_path)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


async def test_a_control_that_dies_later_halts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first scheduled drill finds nothing, the second one halts and names the control."""
    waits: list[float] = []
    halts: list[str] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            dead = Gate("book", lambda c, limits: GateResult("book", True, {}))
            monkeypatch.setattr(
                risk, "CONTROLS", tuple(dead if each.name == "book" else each for each in risk.CONTROLS)
            )
        if len(waits) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await keep_drilling(RiskLimits(), halts.append, sleep)
    assert waits == [DRILL_EVERY_S] * 3
    assert len(halts) == 1
    assert "book" in halts[0]
