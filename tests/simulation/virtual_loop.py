"""An asyncio event loop without real time: it jumps to the next timer, and has no sockets at all."""

from __future__ import annotations

import asyncio
from typing import Any

_MOST_TURNS_WITHOUT_TIME = 2_000_000


class StuckError(RuntimeError):
    """Nothing is ready and no timer is set, or the loop turns without time going on."""


class _Jump:
    """In the place of a selector: waiting means moving the clock."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._turns = 0

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise StuckError("every task waits and no timer is set")
        if timeout > 0:
            self._loop.jump(timeout)
            self._turns = 0
        self._turns += 1
        if self._turns > _MOST_TURNS_WITHOUT_TIME:
            raise StuckError(f"{self._turns} turns of the loop and no time went by")
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """``time()`` is a number of ours, in seconds from 0. Runs tasks and timers, nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = _Jump(self)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Let ``seconds`` go by."""
        self._now += seconds

    def _process_events(self, event_list: list[Any]) -> None:
        """There are no sockets, so there are no events."""

    def _write_to_self(self) -> None:
        """Nobody calls from another thread."""
