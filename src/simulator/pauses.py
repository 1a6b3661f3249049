"""Kalshi's weekly trading pause: Thursdays from 03:00 to 05:00 in New York, summer and winter."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from src.core.units import SECOND, Nanos

NEW_YORK = ZoneInfo("America/New_York")
PAUSE_FROM, PAUSE_TO = time(3), time(5)
_THURSDAY = 3
_WEEK = timedelta(days=7)


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
            self._start, self._end = _window(now)
        return self._start, self._end


def _window(now: Nanos) -> tuple[Nanos, Nanos]:
    today = datetime.fromtimestamp(now // SECOND, UTC).astimezone(NEW_YORK).date()
    day = today + timedelta(days=(_THURSDAY - today.weekday()) % 7)
    bounds = [_at(datetime.combine(day, each, NEW_YORK)) for each in (PAUSE_FROM, PAUSE_TO)]
    if now >= bounds[1]:
        bounds = [_at(datetime.combine(day + _WEEK, each, NEW_YORK)) for each in (PAUSE_FROM, PAUSE_TO)]
    return bounds[0], bounds[1]


def _at(moment: datetime) -> Nanos:
    return int(moment.timestamp()) * SECOND
