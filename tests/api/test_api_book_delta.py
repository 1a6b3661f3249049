"""The shortest path of the feed, text of a delta to its event, against exact decimal arithmetic."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.api import wire_ws
from src.api.frames import DeltaFrame, MalformedFrame, decode_frame
from src.core.errors import WireError
from src.core.events import BookDelta
from src.core.sides import BookSide
from src.core.units import MILLISECOND, format_count, format_price

TICKER = "KXHIGHNY-26NOV23-B50.5"
SIDES = {"yes": BookSide.BID, "no": BookSide.ASK}


def text(**changes: Any) -> str:
    msg = {"market_ticker": TICKER, "price_dollars": "0.3700", "delta_fp": "-12.50", "side": "no"}
    frame = {"type": "orderbook_delta", "sid": 3, "seq": 7, "msg": {**msg, **changes}}
    return json.dumps(frame)


def read(raw: str) -> BookDelta:
    frame = decode_frame(raw)
    assert isinstance(frame, DeltaFrame)
    return wire_ws.book_delta(frame, 9)


def exactly(raw: str) -> BookDelta:
    """The obvious reading: the standard library's JSON and decimals."""
    frame = json.loads(raw)
    msg = frame["msg"]
    ms = msg.get("ts_ms")
    price, delta = Decimal(msg["price_dollars"]) * 10_000, Decimal(msg["delta_fp"]) * 100
    assert price == int(price)
    assert delta == int(delta)
    ts_event = None if ms is None else ms * MILLISECOND
    side = SIDES[msg["side"]]
    return BookDelta(msg["market_ticker"], side, int(price), int(delta), frame["seq"], ts_event, 9)


@given(
    price=st.integers(1, 9_999),
    delta=st.integers(-(10**12), 10**12),
    side=st.sampled_from(["yes", "no"]),
    ts_ms=st.none() | st.integers(0, 2**43),
    ticker=st.text(min_size=1, max_size=30).filter(str.strip),
    seed=st.randoms(use_true_random=False),
)
def test_any_delta_is_read_exactly_however_it_is_written(
    price: int, delta: int, side: str, ts_ms: int | None, ticker: str, seed: Any
) -> None:
    """Escapes, keys in any order, unknown fields, spaces, fractions: the numbers are those of the text."""
    fields = {
        "market_ticker": ticker,
        "price_dollars": format_price(price),
        "delta_fp": format_count(delta),
        "side": side,
        "ts_ms": ts_ms,
        "market_id": "0b7e5a2c",
        "news": {"price_dollars": "0.99"},
    }
    keys = list(fields)
    seed.shuffle(keys)
    frame = {
        "seq": 7,
        "msg": {key: fields[key] for key in keys},
        "x": [1],
        "sid": 3,
        "type": "orderbook_delta",
    }
    raw = json.dumps(frame, indent=seed.choice([None, 1]), ensure_ascii=seed.choice([True, False]))
    assert read(raw) == exactly(raw)
    assert read(raw) == exactly(raw), "a text that is known already reads the same"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price_dollars", "0.0000"),
        ("price_dollars", "1.0000"),
        ("price_dollars", "-0.1000"),
        ("price_dollars", "0.37001"),
        ("price_dollars", "3.7e-1"),
        ("price_dollars", "٠.٣٧٠٠"),
        ("price_dollars", ""),
        ("delta_fp", "1e3"),
        ("delta_fp", "12.345"),
        ("delta_fp", "NaN"),
        ("delta_fp", "--1.00"),
        ("delta_fp", " 1.00"),
        ("delta_fp", "9" * 5_000),
    ],
)
def test_a_number_that_cannot_be_read_is_named_every_time_it_comes(field: str, value: str) -> None:
    """An error is never remembered as a number."""
    for _ in range(2):
        with pytest.raises(WireError, match=field):
            read(text(**{field: value}))
    assert read(text()) == exactly(text())


@pytest.mark.parametrize(
    "changes", [{"price_dollars": 0.37}, {"delta_fp": None}, {"side": "maybe"}, {"market_ticker": ""}]
)
def test_a_field_of_the_wrong_kind_makes_the_frame_malformed(changes: dict[str, Any]) -> None:
    """The field is named."""
    frame = decode_frame(text(**changes))
    assert isinstance(frame, MalformedFrame)
    assert next(iter(changes)) in frame.error.field


def test_equivalent_texts_of_a_number_read_alike() -> None:
    """The venue may write fewer or more zeros than its examples."""
    prices = {read(text(price_dollars=written)).price for written in ("0.37", "0.3700", "0.370000", "+0.37")}
    deltas = {read(text(delta_fp=written)).delta for written in ("-12.5", "-12.50", "-12.5000", "-012.50")}
    assert (prices, deltas) == ({3_700}, {-1_250})


def test_remembered_numbers_are_bounded() -> None:
    """A feed of ever new sizes does not fill the memory, and stays exact."""
    numbers = wire_ws._Numbers(lambda written, _: int(written), "n")
    assert all(numbers[str(n)] == n for n in range(70_000))
    assert len(numbers) <= 65_536
    assert numbers["12"] == 12
