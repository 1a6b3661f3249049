"""Reading JSON bodies as Kalshi does: what does not decode gets a flat 400, wrong values a nested one."""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeVar

import msgspec

from src.core.errors import WireError
from src.core.units import SECOND, Count, Nanos, Price, parse_count, parse_price
from src.simulator.wire_errors import UNREADABLE, bad_request, nested

E = TypeVar("E", bound=Enum)
_LONGEST_CLIENT_ID = 64


class Body:
    """A JSON object whose fields are taken one by one. Every method raises ``ApiError``."""

    def __init__(self, fields: dict[str, Any], kind: str) -> None:
        self._fields = fields
        self._kind = kind

    @classmethod
    def decode(cls, raw: bytes, kind: str) -> Body:
        """A request's body; ``kind`` names it in errors. An empty one has no fields."""
        try:
            fields = msgspec.json.decode(raw) if raw else {}
        except UNREADABLE as error:
            raise bad_request(f"invalid JSON: {error}") from None
        if not isinstance(fields, dict):
            raise bad_request("expected a JSON object")
        return cls(fields, kind)

    def has(self, name: str) -> bool:
        """Whether a field is there and not null."""
        return self._fields.get(name) is not None

    def items(self, name: str, kind: str) -> list[Body]:
        """A list of objects with at least one element."""
        values = self._fields.get(name)
        if not isinstance(values, list) or not values or not all(isinstance(each, dict) for each in values):
            raise bad_request(f"{name}: expected a list of objects")
        return [Body(each, kind) for each in values]

    def text(self, name: str, *, optional: bool = False) -> str:
        """A string; empty when it is optional and absent, or null, which Kalshi reads as absent."""
        value = self._fields.get(name)
        if value is None:
            value = ""
        if not isinstance(value, str):
            kind = "number" if type(value) in (int, float) else "value"
            raise bad_request(
                f"json: cannot unmarshal {kind} into Go struct field {self._kind}.{name} of type string"
            )
        if not value and not optional:
            raise bad_request(f"{name} is required")
        return value

    def client_id(self, name: str = "client_order_id") -> str:
        """An optional client order id."""
        value = self.text(name, optional=True)
        if len(value) > _LONGEST_CLIENT_ID:
            raise bad_request(f"{name}: longer than {_LONGEST_CLIENT_ID} characters")
        return value

    def flag(self, name: str) -> bool:
        """A boolean, False when absent or null."""
        value = self._fields.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise bad_request(f"{name}: expected a boolean")
        return value

    def whole(self, name: str) -> int | None:
        """An integer, or None when absent."""
        value = self._fields.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise bad_request(f"{name}: expected an integer")
        return value

    def seconds(self, name: str) -> Nanos | None:
        """A time in Unix seconds as nanoseconds, or None when absent."""
        value = self.whole(name)
        return None if value is None else value * SECOND

    def choice(self, kind: type[E], name: str) -> E:
        """One of an enumeration's values."""
        try:
            return kind(self.text(name))
        except ValueError:
            raise bad_request(f"{name}: unknown value") from None

    def count(self, name: str) -> Count:
        """A number of contracts."""
        text = self.text(name)
        try:
            return parse_count(text)
        except WireError as error:
            raise nested(400, "invalid_order_size", str(error)) from None

    def price(self, name: str) -> Price:
        """A price in dollars."""
        text = self.text(name)
        try:
            return parse_price(text)
        except WireError as error:
            raise nested(400, "invalid_price", str(error)) from None

    def check_subaccount(self, name: str = "subaccount") -> None:
        """There are no subaccounts but the primary one, 0."""
        if self.whole(name):
            raise nested(404, "user_not_found")
