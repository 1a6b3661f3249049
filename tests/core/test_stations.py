"""Stations, climate days and event dates."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.errors import ConfigError, WireError
from src.core.stations import (
    STATIONS,
    Station,
    climate_day_bounds,
    event_date,
    event_ticker_for,
    station_for_series,
    utc_midnight,
)
from src.core.units import DAY, SECOND


def _utc(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("series", "iso_date", "start", "end"),
    [
        ("KXHIGHNY", "2026-11-23", "2026-11-23T05:00:00Z", "2026-11-24T05:00:00Z"),
        ("KXHIGHNY", "2026-07-04", "2026-07-04T05:00:00Z", "2026-07-05T05:00:00Z"),
        ("KXHIGHNY", "2026-03-08", "2026-03-08T05:00:00Z", "2026-03-09T05:00:00Z"),
        ("KXHIGHNY", "2026-11-01", "2026-11-01T05:00:00Z", "2026-11-02T05:00:00Z"),
        ("KXHIGHCHI", "2026-03-08", "2026-03-08T06:00:00Z", "2026-03-09T06:00:00Z"),
        ("KXHIGHTPHX", "2026-07-04", "2026-07-04T07:00:00Z", "2026-07-05T07:00:00Z"),
        ("KXHIGHLAX", "2026-12-31", "2026-12-31T08:00:00Z", "2027-01-01T08:00:00Z"),
    ],
)
def test_climate_day_is_local_standard_time_also_on_days_the_clocks_change(
    series: str, iso_date: str, start: str, end: str
) -> None:
    assert climate_day_bounds(iso_date, station_for_series(series)) == (_utc(start), _utc(end))


@pytest.mark.parametrize("known", STATIONS, ids=lambda s: s.icao)
def test_standard_offset_is_the_timezones_winter_offset_and_never_daylight(known: Station) -> None:
    winter = datetime(2026, 1, 15, 12, tzinfo=UTC).astimezone(ZoneInfo(known.timezone)).utcoffset()
    assert winter is not None
    assert winter.total_seconds() == known.std_utc_offset_hours * 3600
    start, end = climate_day_bounds("2026-07-04", known)
    assert end - start == DAY
    wall = datetime.fromtimestamp(start / SECOND, ZoneInfo(known.timezone))
    assert wall.hour == (0 if known.icao == "KPHX" else 1)


def test_every_series_and_station_appears_once_and_within_the_united_states() -> None:
    assert len({s.series_ticker for s in STATIONS}) == len(STATIONS) == 22
    assert len({s.icao for s in STATIONS}) == len(STATIONS)
    assert all(24 < s.lat < 50 and -125 < s.lon < -66 for s in STATIONS)
    assert all(s.cli == "CLI" + s.icao[1:] or s.icao == "KNYC" for s in STATIONS)


def test_an_unknown_series_is_the_users_to_mend_and_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"KXHIGHXX.*KXHIGHCHI"):
        station_for_series("KXHIGHXX")


@pytest.mark.parametrize(
    ("ticker", "expected"),
    [
        ("KXHIGHNY-24OCT01", "2024-10-01"),
        ("HIGHNY-24OCT01", "2024-10-01"),
        ("KXHIGHNY-26NOV23", "2026-11-23"),
        ("KXHIGHCHI-24FEB29", "2024-02-29"),
    ],
)
def test_event_date_comes_from_the_ticker(ticker: str, expected: str) -> None:
    assert event_date(ticker) == expected


@pytest.mark.parametrize(
    "ticker",
    [
        "",
        "KXHIGHNY",
        "KXHIGHNY-24OCT",
        "KXHIGHNY-24XXX01",
        "KXHIGHNY-23FEB29",
        "KXHIGHNY-24OCT01-B60.5",
        "kxhighny-24OCT01",
        "KXHIGHNY-24oct01",
        "KXHIGHNY-24OCT01\n",
    ],
)
def test_a_malformed_event_ticker_is_a_wire_error_naming_the_field(ticker: str) -> None:
    with pytest.raises(WireError, match="event_ticker"):
        event_date(ticker)


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_event_ticker_and_event_date_are_inverse(day: date) -> None:
    assert event_date(event_ticker_for("KXHIGHNY", day.isoformat())) == day.isoformat()


@pytest.mark.parametrize("text", ["", "2026-02-30", "20261123", "2026-W01-1", "26NOV23"])
def test_a_malformed_date_is_a_wire_error(text: str) -> None:
    with pytest.raises(WireError, match="date"):
        utc_midnight(text)
