"""Kalshi's weekly trading pause: Thursdays from 03:00 to 05:00 in New York, summer and winter."""

from __future__ import annotations

from src.core.trading_hours import weekly_pause
from src.core.units import Nanos


class WeeklyPause:
    """Tells whether the pause is on. Times asked about must not go back (they are the world's clock)."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._start: Nanos = 0
        self._end: Nanos = 0

    def is_on(self, now: Nanos) -> bool:
        """Whether trading is paused at ``now``."""
        return self._enabled and self.window(now)[0] <= now

    def next_start(self, now: Nanos) -> Nanos | None:
        """When the next pause begins (the present one's beginning while it is on); None without pauses."""
        return self.window(now)[0] if self._enabled else None

    def window(self, now: Nanos) -> tuple[Nanos, Nanos]:
        """Beginning and end of the first pause that is not over at ``now``."""
        if now >= self._end:
            self._start, self._end = weekly_pause(now)
        return self._start, self._end
