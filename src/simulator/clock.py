"""The world's clock: stepped by hand (lockstep) or running at a speed (realtime)."""

from __future__ import annotations

from collections.abc import Callable

from src.core.units import SECOND, Nanos


class WorldClock:
    """World time in nanoseconds, UTC; satisfies ``src.core.ports.Clock``.

    In lockstep it stands still but for ``set``. After ``run`` it is ``start + elapsed * speed``, with
    ``elapsed`` in seconds of the given monotonic clock, and never beyond ``end``.
    """

    def __init__(self, start: Nanos, end: Nanos) -> None:
        self._at = start
        self._end = end
        self._monotonic: Callable[[], float] | None = None
        self._anchor = 0.0
        self.speed = 0.0

    @property
    def mode(self) -> str:
        """``"lockstep"`` or ``"realtime"``."""
        return "realtime" if self._monotonic else "lockstep"

    def now(self) -> Nanos:
        """World time now."""
        if self._monotonic is None:
            return self._at
        elapsed = self._monotonic() - self._anchor
        return min(self._at + int(elapsed * self.speed * SECOND), self._end)

    def set(self, ts: Nanos) -> None:
        """Step the clock forward to ``ts`` (lockstep only)."""
        if self._monotonic is not None:
            raise ValueError("a running clock cannot be set")
        self._at = max(self._at, ts)

    def run(self, speed: float, monotonic: Callable[[], float]) -> None:
        """Start running at ``speed`` world seconds per second."""
        if speed <= 0:
            raise ValueError(f"speed: expected a positive number, got {speed!r}")
        self._at, self._anchor = self.now(), monotonic()
        self._monotonic, self.speed = monotonic, speed
