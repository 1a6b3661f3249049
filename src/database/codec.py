"""Audit records as JSON and back: the journal's payload.

Frozen dataclasses become objects, enums their values. JSON has no NaN and no infinity, and PostgreSQL
stores neither NUL characters nor lone surrogates: non-finite floats become the strings ``"nan"``, ``"inf"``
and ``"-inf"`` (and come back as floats where a float is expected), such characters become U+FFFD.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from src.core.actions import (
    AccountMarked,
    AuditRecord,
    CommandAnswered,
    ControlValue,
    ExitJudged,
    FillApplied,
    LedgerOpened,
    Noted,
    OrderChanged,
    PositionChanged,
    Reconciled,
    Refused,
    SettlementApplied,
    SignalRecorded,
    StateChanged,
)

RECORD_TYPES: tuple[type[AuditRecord], ...] = (
    SignalRecorded,
    Refused,
    OrderChanged,
    FillApplied,
    PositionChanged,
    SettlementApplied,
    ExitJudged,
    StateChanged,
    AccountMarked,
    Reconciled,
    LedgerOpened,
    ControlValue,
    CommandAnswered,
    Noted,
)

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


_KINDS: dict[type[AuditRecord], str] = {record: _snake_case(record.__name__) for record in RECORD_TYPES}
_TYPES = {kind: record for record, kind in _KINDS.items()}


def kind_of(record: AuditRecord) -> str:
    """The record's name in the journal, e.g. ``"order_changed"``."""
    return _KINDS[type(record)]


def encode(value: object) -> str:
    """A record, or a mapping of numbers, as JSON text that PostgreSQL accepts as ``jsonb``."""
    return json.dumps(
        _storable(msgspec.to_builtins(value, enc_hook=_plain)), separators=(",", ":"), ensure_ascii=False
    )


def decode(kind: str, payload: dict[str, Any]) -> AuditRecord:
    """The record that ``encode`` wrote. Raises ``KeyError`` or ``msgspec.ValidationError`` if it did not."""
    return msgspec.convert(payload, _TYPES[kind], strict=False)


def storable_text(text: str) -> str:
    """``text`` without what PostgreSQL cannot store."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _plain(value: object) -> object:
    """What msgspec does not know by itself: mappings that are no dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a record holds a {type(value).__name__}, which the journal cannot keep")


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {storable_text(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value
