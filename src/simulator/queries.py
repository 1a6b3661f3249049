"""Reading query parameters and cutting listings into pages, the way Kalshi does."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

from src.core.units import SECOND, Nanos
from src.simulator.wire_errors import invalid_parameter


class Numbered(Protocol):
    """Anything with a place in the order of its kind."""

    @property
    def ordinal(self) -> int:
        """Its place."""


T = TypeVar("T", bound=Numbered)
_MOST_CURSOR_DIGITS = 20


class Query:
    """Query parameters with Kalshi's validation errors."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def has(self, name: str) -> bool:
        """Whether a parameter is there and not empty."""
        return bool(self._values.get(name))

    def text(self, name: str) -> str:
        """A parameter, or empty."""
        return self._values.get(name, "")

    def names(self, name: str) -> frozenset[str] | None:
        """A comma separated list, or None when absent."""
        return frozenset(self.text(name).split(",")) if self.has(name) else None

    def flag(self, name: str) -> bool:
        """A boolean parameter, False when absent."""
        value = self.text(name)
        if value not in {"", "true", "false", "1", "0"}:
            raise invalid_parameter(name, "expected a boolean")
        return value in {"true", "1"}

    def choice(self, name: str, allowed: Iterable[str]) -> str:
        """One of ``allowed``, or empty when absent."""
        value = self.text(name)
        if value and value not in allowed:
            raise invalid_parameter(name, "not an allowed value")
        return value

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """An integer within bounds."""
        value = self.text(name)
        if not value:
            return default
        try:
            number = int(value)
        except ValueError:
            raise invalid_parameter(name, "expected an integer") from None
        if not low <= number <= high:
            raise invalid_parameter(name, f"expected {low} to {high}")
        return number

    def seconds(self, name: str) -> Nanos | None:
        """A time in Unix seconds, as nanoseconds; None when absent."""
        if not self.has(name):
            return None
        return self.number(name, 0, -(2**62) // SECOND, 2**62 // SECOND) * SECOND

    def covers(self, low_name: str, high_name: str, ts: Nanos | None) -> bool:
        """Whether a time lies within two optional bounds, both included (to the second)."""
        low, high = self.seconds(low_name), self.seconds(high_name)
        if ts is None:
            return low is None and high is None
        return (low is None or ts >= low) and (high is None or ts < high + SECOND)


def page(
    items: Iterable[T], query: Query, *, default: int, high: int, newest_first: bool
) -> tuple[list[T], str]:
    """The page ``cursor`` and ``limit`` ask for, and the cursor of the next ("" at the end).

    ``items`` come in listing order. A cursor that cannot be read means the first page.
    """
    limit = query.number("limit", default, 0, high) or default
    after = _decode(query.text("cursor"))
    taken: list[T] = []
    for item in items:
        if after is not None and (item.ordinal >= after if newest_first else item.ordinal <= after):
            continue
        if len(taken) == limit:
            return taken, _encode(taken[-1].ordinal)
        taken.append(item)
    return taken, ""


def _encode(ordinal: int) -> str:
    return base64.urlsafe_b64encode(f"after:{ordinal}".encode()).decode()


def _decode(cursor: str) -> int | None:
    try:
        kind, _, number = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
    except (binascii.Error, UnicodeError):
        return None
    # A cursor of ours has few digits; Python refuses to convert thousands of them.
    is_ours = kind == "after" and number.isdecimal() and len(number) <= _MOST_CURSOR_DIGITS
    return int(number) if is_ours else None
