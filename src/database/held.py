"""What the fallback journal holds while the database does not answer, as JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from src.core.actions import AuditRecord, StateChanged
from src.core.signal import OrderIntent
from src.core.units import Cash
from src.database.codec import decode, encode, kind_of


@dataclass(frozen=True, slots=True)
class HeldIntent:
    """An exit that was about to leave; ``fence`` is the fencing number known at that time."""

    fence: int
    intent: OrderIntent
    reserved: Cash


@dataclass(frozen=True, slots=True)
class HeldState:
    """A trading state that the database has not heard of."""

    fence: int
    record: StateChanged


@dataclass(frozen=True, slots=True)
class HeldBatch:
    """Records that could not be written before the process ended, named by (fence, number)."""

    fence: int
    number: int
    records: tuple[AuditRecord, ...]


HeldEntry: TypeAlias = HeldIntent | HeldState | HeldBatch


def batch_name(fence: int, number: int) -> str:
    """The name a batch of records leaves in the database when it is committed."""
    return f"{fence}:{number}"


def is_news(entry: HeldBatch, last_batch: str) -> bool:
    """Whether a batch is later than ``last_batch`` (empty: none yet), the last one committed."""
    if not last_batch:
        return True
    fence, _, number = last_batch.partition(":")
    return (entry.fence, entry.number) > (int(fence), int(number))


def to_json(entry: HeldEntry) -> str:
    """An entry as one line of JSON."""
    match entry:
        case HeldIntent():
            body: dict[str, Any] = {"intent": json.loads(encode(entry.intent)), "reserved": entry.reserved}
        case HeldState():
            body = {"state": json.loads(encode(entry.record))}
        case _:
            kept = [[kind_of(record), json.loads(encode(record))] for record in entry.records]
            body = {"number": entry.number, "records": kept}
    return json.dumps({"fence": entry.fence, **body}, separators=(",", ":"), ensure_ascii=True)


def from_json(line: str) -> HeldEntry:
    """The entry that ``to_json`` wrote. ``ValueError``, ``KeyError``, msgspec's errors: it did not."""
    body: Mapping[str, Any] = json.loads(line)
    fence = int(body["fence"])
    if "intent" in body:
        return HeldIntent(fence, msgspec.convert(body["intent"], OrderIntent), int(body["reserved"]))
    if "state" in body:
        return HeldState(fence, msgspec.convert(body["state"], StateChanged))
    records = tuple(decode(kind, payload) for kind, payload in body["records"])
    return HeldBatch(fence, int(body["number"]), records)
