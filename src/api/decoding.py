"""Typed JSON decoding whose failures name the field."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from src.core.errors import WireError

T = TypeVar("T")

# What ``msgspec`` raises for bytes that are not what they should be: bad JSON or a wrong field, bytes that
# are not UTF-8, and JSON nested so deep that reading on would exhaust the stack.
UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
_MISSING = re.compile(r"missing required field `(?P<name>[^`]+)`")
_WRONG = re.compile(r"Expected `(?P<expected>[^`]+)`, got `(?P<got>[^`]+)`")
_AT = re.compile(r" - at `\$\.?(?P<path>.*)`$")


def wire_error(error: Exception, where: str) -> WireError:
    """``WireError`` for one of ``UNREADABLE``; its field is ``where`` plus the path inside the message."""
    text = str(error)
    at = _AT.search(text)
    path = [where, at["path"]] if at and at["path"] else [where]
    if missing := _MISSING.search(text):
        return WireError(".".join([*path, missing["name"]]), None, "this field")
    if wrong := _WRONG.search(text):
        return WireError(".".join(path), wrong["got"], wrong["expected"])
    return WireError(".".join(path), _AT.sub("", text), "a message as documented")


def decode(body: bytes | msgspec.Raw, kind: type[T], where: str) -> T:
    """Decode JSON ``body`` as ``kind``. Raises ``WireError`` naming the offending field."""
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE as error:
        raise wire_error(error, where) from None
