"""Every fault the simulated exchange can play, and the parameters each takes.

A parameter's parser gets the raw value and its full name, and raises ``ConfigError`` for a bad one. Times
are given in seconds and become nanoseconds, prices and counts are texts such as ``"0.4000"``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, TypeAlias

from src.core.errors import ConfigError, WireError
from src.core.units import SECOND, parse_count, parse_price

Parser: TypeAlias = Callable[[object, str], Any]
_REQUIRED = object()
_ORDERS = "/portfolio/events/orders"


class Place(Enum):
    """Where a fault acts."""

    REQUEST = "request"
    FRAME = "frame"
    BOTH = "both"
    WORLD = "world"


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """``parameters``: name -> (parser, default). ``paths``: requests the fault can concern at all."""

    place: Place
    parameters: Mapping[str, tuple[Parser, object]] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    method: str = ""

    def parse(self, given: Mapping[str, object], where: str) -> dict[str, Any]:
        """All parameters, parsed and completed. Raises ``ConfigError``."""
        refuse_unknown(given, self.parameters, f"{where}.parameters")
        parsed: dict[str, Any] = {}
        for name, (parser, default) in self.parameters.items():
            full = f"{where}.parameters.{name}"
            if name in given:
                parsed[name] = parser(given[name], full)
            elif default is _REQUIRED:
                raise ConfigError(f"{full} is missing; this fault needs it")
            else:
                parsed[name] = default
        return parsed


def refuse_unknown(given: Mapping[str, object], known: Mapping[str, object], where: str) -> None:
    """Raise ``ConfigError`` for a key that means nothing."""
    for name in given:
        if name not in known:
            choices = ", ".join(known) or "nothing"
            raise ConfigError(f"{where}: unknown key {name!r}; expected {choices}")


def seconds(value: object, where: str) -> int:
    """A number of seconds >= 0, as nanoseconds."""
    return _nanos(value, where, low=0)


def offset(value: object, where: str) -> int:
    """A number of seconds of either sign, as nanoseconds."""
    return _nanos(value, where, low=-(10**9))


def _nanos(value: object, where: str, low: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{where}: expected a number of seconds, got {value!r}")
    if not low <= value <= 10**9:
        raise ConfigError(f"{where}: expected {low} to {10**9} seconds, got {value!r}")
    return round(value * SECOND)


def whole(low: int, high: int) -> Parser:
    """An integer within bounds."""

    def parse(value: object, where: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ConfigError(f"{where}: expected a whole number from {low} to {high}, got {value!r}")
        return value

    return parse


def one_of(*choices: object) -> Parser:
    """One of some values."""

    def parse(value: object, where: str) -> object:
        if value not in choices or isinstance(value, bool) != isinstance(choices[0], bool):
            raise ConfigError(f"{where}: expected {', '.join(map(str, choices))}, got {value!r}")
        return value

    return parse


flag = one_of(True, False)


def text(value: object, where: str) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where}: expected text, got {value!r} (put it in quotes)")
    return value


def price(value: object, where: str) -> int:
    """Dollars as text, below 1 and above 0 or equal to either, in 1e-4 dollars."""
    try:
        return parse_price(value, where)
    except WireError as error:
        raise ConfigError(f'{error}; write it in quotes, as "0.4000"') from error


def count(value: object, where: str) -> int:
    """Contracts as text, above zero, in 0.01 contract."""
    try:
        parsed = parse_count(value, where)
    except WireError as error:
        raise ConfigError(f'{error}; write it in quotes, as "10.00"') from error
    if parsed <= 0:
        raise ConfigError(f"{where}: expected more than 0 contracts, got {value!r}")
    return parsed


def factor(value: object, where: str) -> int:
    """A factor >= 0 with at most 4 decimals, in 1e-4."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise InvalidOperation
        scaled = Decimal(str(value)) * 10_000
        if not (scaled.is_finite() and scaled == scaled.to_integral_value() and 0 <= scaled <= 10**8):
            raise InvalidOperation
    except InvalidOperation:
        raise ConfigError(f"{where}: expected a number >= 0 with at most 4 decimals, got {value!r}") from None
    return int(scaled)


_STATUS = one_of(500, 502, 503, 504)
_FAILURE = {"status": (_STATUS, 503), "html": (flag, False)}
_TICKER = {"ticker": (text, _REQUIRED)}
_TRADE = {
    **_TICKER,
    "side": (one_of("bid", "ask"), _REQUIRED),
    "price": (price, _REQUIRED),
    "count": (count, _REQUIRED),
}
_GRIDS = one_of("linear_cent", "deci_cent", "tapered_deci_cent")
_REASONS = one_of("post_only_cross", "self_trade", "closed")
_READ = ("/portfolio/orders*", "/exchange/user_data_timestamp")

REQUEST_FAULTS: dict[str, FaultSpec] = {
    "lose_response": FaultSpec(Place.REQUEST),
    "lose_request": FaultSpec(Place.REQUEST),
    "delay": FaultSpec(
        Place.REQUEST,
        {"seconds": (seconds, _REQUIRED), "phase": (one_of("request", "response"), "request")},
    ),
    "5xx": FaultSpec(Place.REQUEST, {**_FAILURE, "applied": (flag, False)}),
    "429": FaultSpec(Place.REQUEST),
    "read_lag": FaultSpec(Place.REQUEST, {"seconds": (seconds, _REQUIRED)}, _READ, "GET"),
    "page_size": FaultSpec(Place.REQUEST, {"size": (whole(1, 1_000), _REQUIRED)}, method="GET"),
    "cursor_fail": FaultSpec(
        Place.REQUEST, {"answer": (one_of("error", "first_page"), "error")}, method="GET"
    ),
    "balance_fail": FaultSpec(Place.REQUEST, _FAILURE, ("/portfolio/balance",), "GET"),
    "positions_fail": FaultSpec(Place.REQUEST, _FAILURE, ("/portfolio/positions",), "GET"),
    "deprecate_endpoint": FaultSpec(Place.REQUEST, {"status": (one_of(410, 404), 410)}),
    "half_fill": FaultSpec(Place.REQUEST, {}, (_ORDERS,), "POST"),
    "reject_after_ack": FaultSpec(
        Place.REQUEST, {"reason": (_REASONS, "post_only_cross")}, (_ORDERS,), "POST"
    ),
    "fill_after_cancel_ack": FaultSpec(Place.REQUEST, {"count": (count, None)}, (f"{_ORDERS}/*",), "DELETE"),
}
FRAME_FAULTS: dict[str, FaultSpec] = {
    "ws.drop": FaultSpec(Place.FRAME),
    "ws.dup": FaultSpec(Place.FRAME, {"times": (whole(1, 100), 1)}),
    "ws.reorder": FaultSpec(Place.FRAME, {"by": (whole(1, 100), 1), "hold": (seconds, SECOND // 20)}),
    "ws.delay": FaultSpec(Place.FRAME, {"seconds": (seconds, _REQUIRED)}),
    "ws.silent": FaultSpec(Place.FRAME),
    "ws.close": FaultSpec(Place.FRAME),
    "ws.seq_reset": FaultSpec(Place.FRAME),
    "ws.gap": FaultSpec(Place.FRAME, {"by": (whole(1, 1_000_000), 1)}),
    "ws.merge_acks": FaultSpec(Place.FRAME, {"hold": (seconds, SECOND // 20)}),
    "ws.error": FaultSpec(Place.FRAME, {"code": (one_of(10, 25), 25)}),
}
BOTH_FAULTS: dict[str, FaultSpec] = {
    "deprecate_field": FaultSpec(Place.BOTH, {"field": (text, _REQUIRED)}),
    "key_revoked": FaultSpec(Place.BOTH),
}
WORLD_FAULTS: dict[str, FaultSpec] = {
    "clock_offset": FaultSpec(Place.WORLD, {"seconds": (offset, _REQUIRED)}),
    "pause_exchange": FaultSpec(Place.WORLD, {"scope": (one_of("trading", "exchange"), "exchange")}),
    "pause_market": FaultSpec(Place.WORLD, _TICKER),
    "early_close": FaultSpec(Place.WORLD, _TICKER),
    "determine": FaultSpec(Place.WORLD, {**_TICKER, "result": (one_of("yes", "no"), _REQUIRED)}),
    "void": FaultSpec(Place.WORLD, {**_TICKER, "value": (price, None)}),
    "scalar": FaultSpec(Place.WORLD, {**_TICKER, "value": (price, _REQUIRED)}),
    "re_determine": FaultSpec(
        Place.WORLD,
        {**_TICKER, "result": (one_of("yes", "no", "scalar"), _REQUIRED), "value": (price, None)},
    ),
    "tick_change": FaultSpec(Place.WORLD, {**_TICKER, "structure": (_GRIDS, _REQUIRED)}),
    "fee_change": FaultSpec(
        Place.WORLD, {"series": (text, ""), "event": (text, ""), "multiplier": (factor, _REQUIRED)}
    ),
    "fee_scale": FaultSpec(Place.WORLD, {"factor": (factor, 10_100)}),
    "rules_change": FaultSpec(
        Place.WORLD, {"series": (text, _REQUIRED), "old": (text, _REQUIRED), "new": (text, _REQUIRED)}
    ),
    "external_order": FaultSpec(Place.WORLD, {**_TRADE, "client_order_id": (text, "")}),
    "manual_fill": FaultSpec(Place.WORLD, _TRADE),
}
FAULTS: dict[str, FaultSpec] = REQUEST_FAULTS | FRAME_FAULTS | BOTH_FAULTS | WORLD_FAULTS
