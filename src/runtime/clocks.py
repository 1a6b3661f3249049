"""The clocks that can be plugged in: real time, a simulated exchange's time, and a hand-moved one."""

from __future__ import annotations

import time
from collections.abc import Callable

from src.core.units import MILLISECOND, Nanos


def wall_ms() -> int:
    """Real time in milliseconds since the epoch, which signatures are made with in every world."""
    return time.time_ns() // MILLISECOND


def _uptime_ns() -> Nanos:
    """Monotonic time that also runs while the machine sleeps, where the system has such a clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock)


class SystemClock:
    """Real time, read once from the machine and then carried by its monotonic clock.

    A step of the machine's wall clock therefore moves nothing here: no age becomes negative and no interval
    stretches. Whether the time is right is for the comparison with the exchange's clock to say.
    """

    def __init__(
        self, wall: Callable[[], Nanos] = time.time_ns, uptime: Callable[[], Nanos] = _uptime_ns
    ) -> None:
        self._uptime = uptime
        self._zero = wall() - uptime()

    def now(self) -> Nanos:
        """Nanoseconds since the epoch, UTC."""
        return self._zero + self._uptime()

    def now_ms(self) -> int:
        """Milliseconds since the epoch, for signatures."""
        return self.now() // MILLISECOND


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
