"""Times without trading that the exchange announces: outside its weekly hours, and maintenance."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from src.api.convert import nanos
from src.api.schema_data import DAYS, ScheduleBody, SessionBody, WeekBody
from src.core.errors import WireError
from src.core.units import DAY, SECOND, Nanos

_NEW_YORK = ZoneInfo("America/New_York")
_AHEAD_DAYS = 8


def closed_times(schedule: ScheduleBody, now: Nanos) -> tuple[tuple[Nanos, Nanos], ...]:
    """(begin, end) of each time without trading from yesterday to eight days ahead, merged and in order.

    Sessions are New York time; one that closes at 00:00 lasts to the end of its day. A day outside every
    week's validity is not judged: nothing is known of it. Raises ``WireError`` for a malformed hour.
    """
    found: list[tuple[Nanos, Nanos]] = [
        (nanos(window.start_datetime), nanos(window.end_datetime)) for window in schedule.maintenance_windows
    ]
    today = datetime.fromtimestamp(now // SECOND, _NEW_YORK).date()
    for offset in range(-1, _AHEAD_DAYS):
        day = today + timedelta(days=offset)
        week = _week_of(schedule, day)
        if week is not None:
            found += _outside(week, day)
    horizon = now + _AHEAD_DAYS * DAY
    return _merged([(begin, end) for begin, end in found if end > now and begin < horizon])


def _week_of(schedule: ScheduleBody, day: date) -> WeekBody | None:
    noon = _at(day, time(12))
    for week in schedule.standard_hours:
        if nanos(week.start_time) <= noon < nanos(week.end_time):
            return week
    return None


def _outside(week: WeekBody, day: date) -> list[tuple[Nanos, Nanos]]:
    sessions: list[SessionBody] = getattr(week, DAYS[day.weekday()])
    closed: list[tuple[Nanos, Nanos]] = []
    following = day + timedelta(days=1)
    reached = _at(day, time())
    for session in sorted(sessions, key=lambda each: each.open_time):
        opens = _at(day, _time(session.open_time))
        closes = _at(day, _time(session.close_time))
        if closes <= opens:  # at midnight, or after it
            closes = _at(following, _time(session.close_time))
        if opens > reached:
            closed.append((reached, opens))
        reached = max(reached, closes)
    if reached < _at(following, time()):
        closed.append((reached, _at(following, time())))
    return closed


def _merged(times: list[tuple[Nanos, Nanos]]) -> tuple[tuple[Nanos, Nanos], ...]:
    merged: list[tuple[Nanos, Nanos]] = []
    for begin, end in sorted(times):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return tuple(merged)


def _time(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()
    except ValueError:
        if text == "24:00":
            return time()
        raise WireError("standard_hours", text, "HH:MM, New York time") from None


def _at(day: date, at: time) -> Nanos:
    return int(datetime.combine(day, at, _NEW_YORK).astimezone(UTC).timestamp()) * SECOND
