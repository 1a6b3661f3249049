"""The stations behind Kalshi's daily-high series, their climate days, and dates in event tickers.

A market on a day's maximum settles on the *climate day*: midnight to midnight in local STANDARD time
all year, i.e. 01:00 to 00:59 on the clock during daylight time (NWS practice).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from types import MappingProxyType

from src.core.errors import ConfigError, WireError
from src.core.units import DAY, HOUR, SECOND, Nanos

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_EARTH_RADIUS_KM = 6371.0
_EVENT_TICKER = re.compile(r"[A-Z][A-Z0-9]*-([0-9]{2})([A-Z]{3})([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Station:
    """Where a daily-high series is measured.

    ``icao``: METAR station; ``cli``: NWS climate product id; ``lat``/``lon``: degrees;
    ``std_utc_offset_hours``: local standard time minus UTC, never daylight time; ``timezone``: IANA.
    Source: Kalshi's market rules and public station trackers (Houston is Hobby, Chicago is Midway).
    """

    series_ticker: str
    city: str
    icao: str
    cli: str
    lat: float
    lon: float
    std_utc_offset_hours: int
    timezone: str


_EASTERN = (-5, "America/New_York")
_CENTRAL = (-6, "America/Chicago")
_MOUNTAIN = (-7, "America/Denver")
_PHOENIX = (-7, "America/Phoenix")
_PACIFIC = (-8, "America/Los_Angeles")

STATIONS: tuple[Station, ...] = (
    Station("KXHIGHNY", "New York City", "KNYC", "CLINYC", 40.7790, -73.9693, *_EASTERN),
    Station("KXHIGHCHI", "Chicago", "KMDW", "CLIMDW", 41.7842, -87.7553, *_CENTRAL),
    Station("KXHIGHMIA", "Miami", "KMIA", "CLIMIA", 25.7881, -80.3169, *_EASTERN),
    Station("KXHIGHAUS", "Austin", "KAUS", "CLIAUS", 30.1831, -97.6799, *_CENTRAL),
    Station("KXHIGHLAX", "Los Angeles", "KLAX", "CLILAX", 33.9382, -118.3866, *_PACIFIC),
    Station("KXHIGHPHIL", "Philadelphia", "KPHL", "CLIPHL", 39.8733, -75.2268, *_EASTERN),
    Station("KXHIGHDEN", "Denver", "KDEN", "CLIDEN", 39.8466, -104.6562, *_MOUNTAIN),
    Station("KXHIGHTATL", "Atlanta", "KATL", "CLIATL", 33.6301, -84.4418, *_EASTERN),
    Station("KXHIGHTBOS", "Boston", "KBOS", "CLIBOS", 42.3606, -71.0097, *_EASTERN),
    Station("KXHIGHTDAL", "Dallas", "KDFW", "CLIDFW", 32.8978, -97.0189, *_CENTRAL),
    Station("KXHIGHTDC", "Washington DC", "KDCA", "CLIDCA", 38.8472, -77.0346, *_EASTERN),
    Station("KXHIGHTHOU", "Houston", "KHOU", "CLIHOU", 29.6375, -95.2824, *_CENTRAL),
    Station("KXHIGHTLV", "Las Vegas", "KLAS", "CLILAS", 36.0719, -115.1634, *_PACIFIC),
    Station("KXHIGHTMIN", "Minneapolis", "KMSP", "CLIMSP", 44.8831, -93.2289, *_CENTRAL),
    Station("KXHIGHTNOLA", "New Orleans", "KMSY", "CLIMSY", 29.9933, -90.2511, *_CENTRAL),
    Station("KXHIGHTOKC", "Oklahoma City", "KOKC", "CLIOKC", 35.3889, -97.6006, *_CENTRAL),
    Station("KXHIGHTPHX", "Phoenix", "KPHX", "CLIPHX", 33.4278, -112.0037, *_PHOENIX),
    Station("KXHIGHTSATX", "San Antonio", "KSAT", "CLISAT", 29.5443, -98.4839, *_CENTRAL),
    Station("KXHIGHTSEA", "Seattle", "KSEA", "CLISEA", 47.4447, -122.3144, *_PACIFIC),
    Station("KXHIGHTSFO", "San Francisco", "KSFO", "CLISFO", 37.6197, -122.3656, *_PACIFIC),
    Station("KXHIGHTEWR", "Newark", "KEWR", "CLIEWR", 40.6827, -74.1693, *_EASTERN),
    Station("KXHIGHTTTN", "Trenton", "KTTN", "CLITTN", 40.2768, -74.8159, *_EASTERN),
)
_BY_SERIES: Mapping[str, Station] = MappingProxyType({s.series_ticker: s for s in STATIONS})


def station_for_series(series_ticker: str) -> Station:
    """The station a daily-high series settles on. Raises ``ConfigError`` for a series not known."""
    station = _BY_SERIES.get(series_ticker)
    if station is None:
        known = ", ".join(sorted(_BY_SERIES))
        raise ConfigError(f"series {series_ticker!r} has no known weather station; use one of: {known}")
    return station


def known_station(series_ticker: str) -> Station | None:
    """The station of a daily-high series, or None for any other series."""
    return _BY_SERIES.get(series_ticker)


@lru_cache(maxsize=1_024)
def distance_km(a: Station, b: Station) -> float:
    """Great-circle distance in kilometres on a sphere of the Earth's mean radius."""
    north_a, north_b = math.radians(a.lat), math.radians(b.lat)
    half_north, half_east = (north_b - north_a) / 2, math.radians(b.lon - a.lon) / 2
    chord = math.sin(half_north) ** 2 + math.cos(north_a) * math.cos(north_b) * math.sin(half_east) ** 2
    return 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(chord))


def utc_midnight(iso_date: str) -> Nanos:
    """00:00 UTC of an ISO date. Raises ``WireError`` for anything but ``YYYY-MM-DD``."""
    try:
        day = date.fromisoformat(iso_date)
    except (ValueError, TypeError) as error:
        raise WireError("date", iso_date, "an ISO date, e.g. 2026-11-23") from error
    if day.isoformat() != iso_date:
        raise WireError("date", iso_date, "an ISO date, e.g. 2026-11-23")
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * SECOND


def climate_day_bounds(iso_date: str, station: Station) -> tuple[Nanos, Nanos]:
    """``(start, end)`` of the climate day in UTC nanoseconds, ``end`` exclusive; always 24 hours."""
    start = utc_midnight(iso_date) - station.std_utc_offset_hours * HOUR
    return start, start + DAY


def event_date(event_ticker: str) -> str:
    """The ISO climate day of an event: ``KXHIGHNY-24OCT01`` -> ``2024-10-01``.

    The date is in the ticker, not in the close time. Raises ``WireError`` for a malformed ticker.
    """
    match = _EVENT_TICKER.fullmatch(event_ticker)
    expected = "SERIES-YYMMMDD, e.g. KXHIGHNY-24OCT01"
    if match is None or match[2] not in _MONTHS:
        raise WireError("event_ticker", event_ticker, expected)
    try:
        day = date(2000 + int(match[1]), _MONTHS.index(match[2]) + 1, int(match[3]))
    except ValueError as error:
        raise WireError("event_ticker", event_ticker, expected) from error
    return day.isoformat()


def event_ticker_for(series_ticker: str, iso_date: str) -> str:
    """Inverse of ``event_date``: (``KXHIGHNY``, ``2024-10-01``) -> ``KXHIGHNY-24OCT01``."""
    utc_midnight(iso_date)
    return f"{series_ticker}-{iso_date[2:4]}{_MONTHS[int(iso_date[5:7]) - 1]}{iso_date[8:10]}"
