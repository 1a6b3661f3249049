"""When the control drills run: before anything is traded, and every six hours after that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from src.core.errors import TradingSystemError
from src.execution.drills import Drilled, run_drills
from src.execution.limits import RiskLimits

DRILL_EVERY_S = 6 * 3_600.0
log = structlog.get_logger("drills")


class ControlDrillError(TradingSystemError):
    """A risk control does not do what it is there for: nothing may be traded."""

    def __init__(self, failed: list[Drilled]) -> None:
        lines = "; ".join(f"{each.control}: {each.problem}" for each in failed)
        super().__init__(f"risk control drill failed, nothing will be traded: {lines}")


def require_controls(limits: RiskLimits) -> None:
    """Drill every control once. Raises ``ControlDrillError`` naming each that did not refuse."""
    drilled = list(run_drills(limits))
    failed = [each for each in drilled if each.problem]
    if failed:
        raise ControlDrillError(failed)
    log.info("controls_drilled", controls=len({each.control for each in drilled}), drills=len(drilled))


async def keep_drilling(
    limits: RiskLimits,
    halt: Callable[[str], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Drill again every six hours, between the engine's events; ``halt`` is told of what failed."""
    while True:
        await sleep(DRILL_EVERY_S)
        failed = []
        for each in run_drills(limits):
            if each.problem:
                failed.append(each)
            await asyncio.sleep(0)
        if failed:
            halt(str(ControlDrillError(failed)))
