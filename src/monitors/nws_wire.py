"""The parts of api.weather.gov bodies that are read, checked as they are read.

Source: the NWS API (``/points``, ``/gridpoints``, ``/products``) as recorded; every failure is a
``WireError`` naming the field. Temperatures come in degC; times are ISO 8601, periods ``start/duration``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

import msgspec

from src.core.errors import WireError
from src.core.stations import Station, climate_day_bounds
from src.core.units import DAY, HOUR, MINUTE, SECOND, Nanos

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?")
_CELSIUS = "wmoUnit:degC"
_FAHRENHEIT = "wmoUnit:degF"


class _Point(msgspec.Struct, rename="camel"):
    grid_id: str
    grid_x: int
    grid_y: int


class PointBody(msgspec.Struct):
    """``/points/{lat},{lon}``."""

    properties: _Point


class _Value(msgspec.Struct, rename="camel"):
    valid_time: str
    value: float | None


class _Layer(msgspec.Struct):
    uom: str
    values: list[_Value]


class _Grid(msgspec.Struct, rename="camel"):
    update_time: str
    max_temperature: _Layer


class GridBody(msgspec.Struct):
    """``/gridpoints/{office}/{x},{y}``."""

    properties: _Grid


class ProductEntry(msgspec.Struct, rename="camel"):
    """One line of a product listing."""

    id: str
    issuance_time: str


class ProductList(msgspec.Struct):
    """``/products/types/{type}/locations/{location}``, newest first."""

    graph: list[ProductEntry] = msgspec.field(name="@graph")


class ProductBody(msgspec.Struct, rename="camel"):
    """``/products/{id}``."""

    issuance_time: str
    product_text: str


BodyT = TypeVar("BodyT", PointBody, GridBody, ProductList, ProductBody)


def decode(body: bytes, kind: type[BodyT], what: str) -> BodyT:
    """Decode a JSON body. Raises ``WireError`` naming ``what`` and the field that is wrong."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(what, body[:80], f"an NWS body ({error})") from error


def instant(text: str, field: str) -> Nanos:
    """ISO 8601 with an offset -> UTC nanoseconds. A naive time is refused: it could be any zone's."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise WireError(field, text, "an ISO 8601 time") from error
    if moment.tzinfo is None:
        raise WireError(field, text, "a time with its UTC offset")
    return int(moment.timestamp()) * SECOND


def period(text: str, field: str) -> tuple[Nanos, Nanos]:
    """``2026-11-23T12:00:00+00:00/PT13H`` -> (start, end) in UTC nanoseconds."""
    start_text, _, duration = text.partition("/")
    start = instant(start_text, field)
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise WireError(field, text, "a start and an ISO 8601 duration in days, hours and minutes")
    days, hours, minutes = (int(part or 0) for part in match.groups())
    length = days * DAY + hours * HOUR + minutes * MINUTE
    if length <= 0:
        raise WireError(field, text, "a duration above zero")
    return start, start + length


@dataclass(frozen=True, slots=True)
class GridMaximum:
    """A forecast maximum (degF) of a climate day; ``day_start`` is its local standard midnight (UTC)."""

    target_date: str
    day_start: Nanos
    tmax_f: float


def grid_maxima(body: GridBody, station: Station) -> tuple[Nanos, tuple[GridMaximum, ...]]:
    """(issue time, maxima by climate day). Each period belongs to the day its middle falls in."""
    grid = body.properties
    layer = grid.max_temperature
    if layer.uom not in {_CELSIUS, _FAHRENHEIT}:
        raise WireError("properties.maxTemperature.uom", layer.uom, f"{_CELSIUS} or {_FAHRENHEIT}")
    if not layer.values:
        raise WireError("properties.maxTemperature.values", layer.values, "at least one period")
    maxima: list[GridMaximum] = []
    for number, entry in enumerate(layer.values):
        if entry.value is None:
            continue
        start, end = period(entry.valid_time, f"properties.maxTemperature.values[{number}].validTime")
        middle = (start + end) // 2 + station.std_utc_offset_hours * HOUR
        target = date.fromordinal(date(1970, 1, 1).toordinal() + middle // DAY).isoformat()
        value = entry.value if layer.uom == _FAHRENHEIT else entry.value * 9.0 / 5.0 + 32.0
        maxima.append(GridMaximum(target, climate_day_bounds(target, station)[0], value))
    return instant(grid.update_time, "properties.updateTime"), tuple(maxima)
