"""A rule of a fault script: which fault, when, and with what parameters; parsed strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from src.core.errors import ConfigError
from src.core.units import DAY, HOUR, MINUTE, SECOND, Nanos
from src.simulator.answers import API
from src.simulator.faults_spec import FAULTS, Place, refuse_unknown, text, whole
from src.simulator.render import rfc3339

_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_AFTER_START = re.compile(r"\+(\d{1,9})([smhd])").fullmatch
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_EXAMPLES = '"2026-11-23T08:00:00Z", or "+90s", "+15m", "+2h", "+1d" after the world\'s start'


@dataclass(frozen=True, slots=True)
class Moment:
    """A world time: ``ns`` since the epoch, or since the world's start."""

    ns: Nanos
    after_start: bool = False

    def __str__(self) -> str:
        return f"+{self.ns // SECOND}s" if self.after_start else rfc3339(self.ns)

    def at(self, start: Nanos) -> Nanos:
        """The world time it means."""
        return start + self.ns if self.after_start else self.ns


@dataclass(frozen=True, slots=True)
class When:
    """What a rule applies to; everything given must hold.

    ``path``, ``channel`` and ``ticker`` are shell patterns; a path may leave out ``/trade-api/v2``.
    ``probability`` is drawn per match, ``nth`` takes the nth match only, ``times`` is the most it happens.
    The window from ``from_ts`` (included) to ``to_ts`` (excluded) is in world time.
    """

    path: str = ""
    method: str = ""
    channel: str = ""
    ticker: str = ""
    probability: float = 1.0
    nth: int | None = None
    from_ts: Moment | None = None
    to_ts: Moment | None = None
    times: int | None = None

    def has_path(self, path: str) -> bool:
        """Whether a request's path (without query) is meant."""
        return not self.path or matches_path(self.path, path)

    def has_ticker(self, ticker: str) -> bool:
        """Whether a market is meant."""
        return not self.ticker or fnmatchcase(ticker, self.ticker)


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One line of a fault script. ``parameters`` are as written; raises ``ConfigError`` for bad ones."""

    fault: str
    when: When = field(default_factory=When)
    parameters: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.args()

    def args(self) -> dict[str, Any]:
        """The parameters, checked and completed with their defaults."""
        return _checked(self.fault, self.when, self.parameters, self.fault)


def matches_path(pattern: str, path: str) -> bool:
    """Whether a path, or its part below the API's base, fits a pattern."""
    return fnmatchcase(path, pattern) or fnmatchcase(path.removeprefix(API), pattern)


def parse_rule(raw: object, where: str) -> FaultRule:
    """A rule from plain data (YAML or JSON). Raises ``ConfigError`` naming what is wrong."""
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{where}: expected a mapping with the key fault, got {raw!r}")
    refuse_unknown(raw, {"fault": 0, "when": 0, "parameters": 0}, where)
    if "fault" not in raw:
        raise ConfigError(f"{where}.fault is missing")
    parts = {name: raw.get(name, {}) for name in ("when", "parameters")}
    for name, part in parts.items():
        if not isinstance(part, Mapping):
            raise ConfigError(f"{where}.{name}: expected `key: value` lines, got {part!r}")
    fault = str(raw["fault"]) if type(raw["fault"]) is int else text(raw["fault"], f"{where}.fault")
    when = _parse_when(parts["when"], f"{where}.when")
    parameters = dict(parts["parameters"])
    _checked(fault, when, parameters, where)
    return FaultRule(fault, when, parameters)


def _checked(fault: str, when: When, parameters: Mapping[str, object], where: str) -> dict[str, Any]:
    spec = FAULTS.get(fault)
    if spec is None:
        raise ConfigError(f"{where}: unknown fault {fault!r}; known: {', '.join(FAULTS)}")
    _check_matchers(when, spec.place, fault, where)
    args = spec.parse(parameters, where)
    if args.get("result") == "scalar" and args["value"] is None:
        raise ConfigError(f"{where}.parameters.value is missing; a scalar result needs it")
    if fault == "fee_change" and bool(args["series"]) == bool(args["event"]):
        raise ConfigError(f"{where}.parameters: give either series or event")
    return args


def _parse_when(raw: Mapping[str, object], where: str) -> When:
    known = dict.fromkeys(When.__dataclass_fields__)
    refuse_unknown(raw, known, where)
    parsed: dict[str, Any] = {}
    for name, value in raw.items():
        full = f"{where}.{name}"
        if name in {"nth", "times"}:
            parsed[name] = whole(1, 10**9)(value, full)
        elif name in {"from_ts", "to_ts"}:
            parsed[name] = _parse_moment(value, full)
        elif name == "probability":
            parsed[name] = _parse_probability(value, full)
        else:
            parsed[name] = text(value, full)
    if "method" in parsed:
        parsed["method"] = parsed["method"].upper()
    return When(**parsed)


def _parse_probability(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ConfigError(f"{where}: expected a number above 0, at most 1, got {value!r}")
    return float(value)


def _parse_moment(value: object, where: str) -> Moment:
    if isinstance(value, str) and (after := _AFTER_START(value)):
        return Moment(int(after[1]) * _UNITS[after[2]], after_start=True)
    at = value
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            at = None
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise ConfigError(f"{where}: expected a time with its zone such as {_TIME_EXAMPLES}; got {value!r}")
    return Moment((at - _EPOCH) // timedelta(microseconds=1) * 1_000)


def _check_matchers(when: When, place: Place, fault: str, where: str) -> None:
    """Refuse matchers that could never hold: a rule that silently does nothing tests nothing."""
    of_requests, of_frames = {"path", "method"}, {"channel"}
    useless: set[str] = set()
    if place is Place.REQUEST:
        useless = of_frames
    elif place is Place.FRAME:
        useless = of_requests
    elif place is Place.WORLD:
        useless = of_requests | of_frames | {"probability", "nth", "times"}
        if fault != "fee_scale":
            useless.add("ticker")
    elif when.channel and (when.path or when.method):
        raise ConfigError(f"{where}.when: channel is of frames, path and method are of requests; give one")
    default = When()
    for name in sorted(useless):
        if getattr(when, name) != getattr(default, name):
            raise ConfigError(f"{where}.when.{name}: has no meaning for {fault}; remove it")
