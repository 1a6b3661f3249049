"""Records survive the way to rows and JSON and back."""

from __future__ import annotations

import json
import math
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.actions import AuditRecord, GateResult, Noted, OrderChanged, Refused, SignalRecorded
from src.core.events import Fill
from src.core.sides import Outcome
from src.core.signal import Signal
from src.database.codec import RECORD_TYPES, decode, encode, kind_of, storable_text
from src.database.rows import table_writes
from src.database.stored import stored_fill, stored_order
from tests.database.records import booked, fills, order_changes, records


@given(records)
def test_any_record_round_trips_through_json(record: AuditRecord) -> None:
    assert decode(kind_of(record), json.loads(encode(record))) == record


def test_kinds_are_the_names_of_the_records_in_snake_case() -> None:
    kinds = {kind_of(record) for record in map(object.__new__, RECORD_TYPES)}
    assert {"order_changed", "fill_applied", "signal_recorded", "noted"} <= kinds
    assert len(kinds) == len(RECORD_TYPES)


@given(order_changes())
def test_an_order_round_trips_through_its_row(record: OrderChanged) -> None:
    ((_, row),) = table_writes(record)
    order = stored_order(row)  # type: ignore[arg-type]
    assert order.intent == record.intent
    assert (order.order_id, order.status, order.filled) == (record.order_id, record.status, record.filled)
    assert (order.reserved, order.external) == (record.reserved, record.external)


@given(fills)
def test_a_fill_round_trips_through_its_row(fill: Fill) -> None:
    ((_, row),) = table_writes(booked(fill))
    assert stored_fill(row) == fill  # type: ignore[arg-type]


def test_numbers_that_json_does_not_know_come_back_as_floats() -> None:
    signal = Signal("s", "w", "T", "E", Outcome.NO, 0.5, math.inf, 0.0, "c", 1, 2, {"spread": -math.inf})
    text = encode(SignalRecorded(signal, "approved", math.nan, 3))
    assert "NaN" not in text
    assert "Infinity" not in text
    back = decode("signal_recorded", json.loads(text))
    assert isinstance(back, SignalRecorded)
    assert back.signal == signal
    assert back.edge is not None
    assert math.isnan(back.edge)


def test_numbers_of_a_gate_are_never_lost() -> None:
    refused = Refused("s", "w", "T", GateResult("edge", False, {"edge": math.inf, "why": "2.5"}), 1)
    assert json.loads(encode(refused))["result"]["numbers"] == {"edge": "inf", "why": "2.5"}


@given(st.text(st.characters(codec=None)))
def test_texts_become_storable_whatever_they_hold(text: str) -> None:
    stored = storable_text(text)
    assert "\0" not in stored
    assert len(stored) == len(text)
    assert stored.encode("utf-8").decode("utf-8") == stored


def test_odd_characters_in_a_record_become_replacement_characters() -> None:
    record = Noted("news", {"headline": "a\0b\ud800c"}, 1)
    assert (
        json.loads(encode(record))["data"]["headline"]
        == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"
    )


def test_read_only_mappings_are_kept() -> None:
    record = Noted("fit", MappingProxyType({"slope": 0.5, "n": 7}), 1)
    assert json.loads(encode(record))["data"] == {"slope": 0.5, "n": 7}


def test_what_the_journal_cannot_keep_is_named() -> None:
    with pytest.raises(TypeError, match="object"):
        encode(Noted("odd", {"thing": object()}, 1))  # type: ignore[dict-item]
