"""The exchange's schedule as times without trading: weekly pause, maintenance, daylight time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from src.api.schedule import closed_times
from src.api.schema_data import DAYS, ScheduleBody
from src.core.errors import WireError
from src.core.units import SECOND, Nanos

ALL_DAY = [{"open_time": "00:00", "close_time": "00:00"}]
PAUSE = [{"open_time": "00:00", "close_time": "03:00"}, {"open_time": "05:00", "close_time": "00:00"}]


def at(text: str) -> Nanos:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def schedule(windows: tuple[tuple[str, str], ...] = (), **days: Any) -> ScheduleBody:
    week = {day: days.get(day, ALL_DAY) for day in DAYS}
    return msgspec.convert(
        {
            "standard_hours": [
                {"start_time": "2020-01-01T00:00:00Z", "end_time": "2100-01-01T00:00:00Z", **week}
            ],
            "maintenance_windows": [{"start_datetime": begin, "end_datetime": end} for begin, end in windows],
        },
        ScheduleBody,
    )


def test_a_week_without_pauses_has_none() -> None:
    """Midnight to midnight leaves no hole between the days."""
    assert closed_times(schedule(), at("2026-11-24T12:00:00")) == ()


def test_the_thursday_pause_is_known_ahead_in_new_york_time() -> None:
    """03:00 to 05:00 in New York is 08:00 to 10:00 UTC in November and 07:00 to 09:00 in July."""
    winter = closed_times(schedule(thursday=PAUSE), at("2026-11-24T12:00:00"))
    assert winter == ((at("2026-11-26T08:00:00"), at("2026-11-26T10:00:00")),)
    summer = closed_times(schedule(thursday=PAUSE), at("2026-07-07T12:00:00"))
    assert summer == ((at("2026-07-09T07:00:00"), at("2026-07-09T09:00:00")),)


def test_a_pause_under_way_is_still_told() -> None:
    """Someone who starts in the middle of a pause hears of it."""
    times = closed_times(schedule(thursday=PAUSE), at("2026-11-26T09:00:00"))
    assert times[0] == (at("2026-11-26T08:00:00"), at("2026-11-26T10:00:00"))


def test_maintenance_joins_what_it_touches_and_the_past_is_left_out() -> None:
    """A window that overlaps the pause makes one time without trading; one that is over makes none."""
    windows = (
        ("2026-11-26T09:30:00Z", "2026-11-26T12:00:00Z"),
        ("2026-11-20T00:00:00Z", "2026-11-20T02:00:00Z"),
    )
    times = closed_times(schedule(windows, thursday=PAUSE), at("2026-11-24T12:00:00"))
    assert times == ((at("2026-11-26T08:00:00"), at("2026-11-26T12:00:00")),)


def test_a_day_without_sessions_is_closed_all_day() -> None:
    """Twenty-four hours, or twenty-five when the clocks go back."""
    (closed,) = closed_times(schedule(sunday=[]), at("2026-10-30T12:00:00"))
    assert closed == (at("2026-11-01T04:00:00"), at("2026-11-02T05:00:00"))


def test_an_hour_that_is_none_is_refused_by_name() -> None:
    """A malformed hour names the field and the value."""
    broken = schedule(monday=[{"open_time": "25:99", "close_time": "00:00"}])
    with pytest.raises(WireError, match=r"standard_hours.*25:99"):
        closed_times(broken, at("2026-11-24T12:00:00"))
