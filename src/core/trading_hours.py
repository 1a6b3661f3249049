"""The exchange's announced hours: every Thursday from 03:00 to 05:00 in New York nothing trades.

Source: Kalshi, "maintenance and pauses": orders can be cancelled in the pause but not placed or amended.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from src.core.units import SECOND, Nanos

NEW_YORK = ZoneInfo("America/New_York")
PAUSE_FROM, PAUSE_TO = time(3), time(5)
_THURSDAY = 3
_WEEK = timedelta(days=7)


def weekly_pause(now: Nanos) -> tuple[Nanos, Nanos]:
    """Beginning and end of the first weekly pause that is not over at ``now``."""
    today = datetime.fromtimestamp(now // SECOND, UTC).astimezone(NEW_YORK).date()
    day = today + timedelta(days=(_THURSDAY - today.weekday()) % 7)
    bounds = [_at(datetime.combine(day, each, NEW_YORK)) for each in (PAUSE_FROM, PAUSE_TO)]
    if now >= bounds[1]:
        bounds = [_at(datetime.combine(day + _WEEK, each, NEW_YORK)) for each in (PAUSE_FROM, PAUSE_TO)]
    return bounds[0], bounds[1]


def _at(moment: datetime) -> Nanos:
    return int(moment.timestamp()) * SECOND
