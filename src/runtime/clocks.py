"""The clocks that can be plugged in: real time, a simulated exchange's time, and a hand-moved one."""

from __future__ import annotations

import time
from collections.abc import Callable

from src.core.units import MILLISECOND, Nanos


def wall_ms() -> int:
    """Real time in milliseconds since the epoch, which signatures are made with in every world."""
    return time.time_ns() // MILLISECOND


class SystemClock:
    """Real time."""

    def now(self) -> Nanos:
        """Nanoseconds since the epoch, UTC."""
        return time.time_ns()


class AcceleratedClock:
    """The time of a simulated exchange that runs ``speed`` times as fast as ours.

    Anchored once to the exchange's answer and then carried by the monotonic clock, so that a step of
    the machine's wall clock does not move it.
    """

    def __init__(
        self, world_now: Nanos, speed: float, monotonic: Callable[[], Nanos] = time.monotonic_ns
    ) -> None:
        self._world_now = world_now
        self.speed = speed
        self._monotonic = monotonic
        self._anchor = monotonic()

    def now(self) -> Nanos:
        """World time, nanoseconds since the epoch."""
        return self._world_now + int((self._monotonic() - self._anchor) * self.speed)


class ManualClock:
    """Time stands still until somebody sets it; it never goes back."""

    def __init__(self, now: Nanos) -> None:
        self._now = now

    def now(self) -> Nanos:
        """The time last set."""
        return self._now

    def set(self, now: Nanos) -> None:
        """Move to ``now``; raises ``ValueError`` for a step back."""
        if now < self._now:
            raise ValueError(f"clock cannot go back from {self._now} to {now}")
        self._now = now
