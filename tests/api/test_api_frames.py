"""WebSocket messages: published examples become events; broken ones say which field is broken."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.api.frames import DeltaFrame, MalformedFrame, UnknownFrame, decode_frame
from src.api.wire_ws import book_delta, book_snapshot, fill, market_lifecycle, order_update, public_trade
from src.core.errors import WireError
from src.core.events import BookDelta, LifecycleKind, VenueOrderStatus
from src.core.sides import BookSide
from src.core.units import MILLISECOND, format_count, format_price

T = "KXHIGHNY-26NOV23-B50.5"

DELTA = {
    "type": "orderbook_delta",
    "sid": 1,
    "seq": 2,
    "msg": {
        "market_ticker": T,
        "market_id": "0b7e",
        "clock": 88130,
        "price_dollars": "0.3900",
        "delta_fp": "-22.00",
        "side": "no",
        "ts_ms": 1795420801017,
        "ts": "2026-11-23T08:00:01.017Z",
    },
}
FILL = {
    "type": "fill",
    "sid": 6,
    "msg": {
        "trade_id": "77",
        "order_id": "a1",
        "client_order_id": "6f0c",
        "market_ticker": T,
        "exchange_index": 0,
        "is_taker": False,
        "outcome_side": "no",
        "book_side": "ask",
        "yes_price_dollars": "0.3700",
        "count_fp": "4.00",
        "fee_cost": "0.017500",
        "post_position_fp": "-4.00",
        "ts": 1795420812,
        "ts_ms": 1795420812001,
    },
}
ORDER = {
    "type": "user_order",
    "sid": 5,
    "msg": {
        "order_id": "a1",
        "user_id": "u",
        "ticker": T,
        "status": "resting",
        "outcome_side": "no",
        "book_side": "ask",
        "yes_price_dollars": "0.3700",
        "initial_count_fp": "12.00",
        "remaining_count_fp": "8.00",
        "fill_count_fp": "4.00",
        "client_order_id": "6f0c",
        "created_ts_ms": 1795420800345,
        "last_updated_ts_ms": 1795420812001,
        "last_update_reason": "Trade",
    },
}
TRADE = {
    "type": "trade",
    "sid": 2,
    "seq": 1,
    "msg": {
        "trade_id": "5d1c",
        "market_ticker": T,
        "yes_price_dollars": "0.3900",
        "no_price_dollars": "0.6100",
        "count_fp": "22.00",
        "taker_outcome_side": "yes",
        "taker_book_side": "bid",
        "is_block_trade": False,
        "ts_ms": 1795420801017,
    },
}


def frame(document: Any) -> Any:
    return decode_frame(json.dumps(document))


def without(document: dict[str, Any], field: str) -> dict[str, Any]:
    return {**document, "msg": {name: value for name, value in document["msg"].items() if name != field}}


def test_a_delta_of_the_no_side_is_a_change_of_the_yes_asks():
    delta = book_delta(frame(DELTA), 9)
    assert delta == BookDelta(T, BookSide.ASK, 3_900, -2_200, 2, 1795420801017 * MILLISECOND, 9)


def test_a_snapshot_without_a_key_has_an_empty_side():
    msg = {"market_ticker": T, "clock": 1, "no_dollars_fp": [["0.3900", "22.00"]]}
    snapshot = book_snapshot(frame({"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": msg}), 9)
    assert (snapshot.bids, snapshot.asks) == ((), ((3_900, 2_200),))


def test_a_fill_keeps_the_venues_own_fee():
    found = fill(frame(FILL).msg, 9)
    assert (found.side, found.price, found.count, found.fee) == (BookSide.ASK, 3_700, 400, 17_500)
    assert (found.client_order_id, found.trade_id, found.is_taker) == ("6f0c", "77", False)


def test_an_order_update_is_dated_by_its_last_change():
    found = order_update(frame(ORDER).msg, 9)
    assert (found.filled, found.remaining, found.reason) == (400, 800, "Trade")
    assert found.updated_ts == 1795420812001 * MILLISECOND
    created = order_update(frame(without(ORDER, "last_updated_ts_ms")).msg, 9)
    assert created.updated_ts == 1795420800345 * MILLISECOND
    new = frame({**ORDER, "msg": {**ORDER["msg"], "status": "on_hold"}})
    assert order_update(new.msg, 9).status is VenueOrderStatus.UNKNOWN


def test_a_trade_names_the_takers_side():
    assert public_trade(frame(TRADE).msg, 9).taker_side is BookSide.BID


@pytest.mark.parametrize(
    ("extra", "kind", "checks"),
    [
        ({"close_ts": 1795490000}, LifecycleKind.CLOSE_DATE_UPDATED, {"close_time": 1795490000 * 10**9}),
        (
            {"result": "no", "settlement_value": "0.0000"},
            LifecycleKind.DETERMINED,
            {"result": "no", "settlement_value": 0},
        ),
        ({"settled_ts": 1}, LifecycleKind.SETTLED, {"settlement_value": None}),
        ({"is_deactivated": True}, LifecycleKind.DEACTIVATED, {"close_time": None}),
    ],
)
def test_lifecycle_messages_change_only_what_they_say(extra, kind, checks):
    msg = {"event_type": kind.value, "market_ticker": T, **extra}
    found = frame({"type": "market_lifecycle_v2", "sid": 4, "seq": 2, "msg": msg})
    event = market_lifecycle(found.msg, kind, 9)
    assert {name: getattr(event, name) for name in checks} == checks


def test_a_close_date_update_without_a_date_is_an_error():
    msg = {"event_type": "close_date_updated", "market_ticker": T}
    found = frame({"type": "market_lifecycle_v2", "sid": 4, "seq": 2, "msg": msg})
    with pytest.raises(WireError, match="close_ts"):
        market_lifecycle(found.msg, LifecycleKind.CLOSE_DATE_UPDATED, 9)


@pytest.mark.parametrize(
    ("document", "field"),
    [(DELTA, name) for name in ("price_dollars", "delta_fp", "side", "market_ticker")]
    + [
        (FILL, name)
        for name in ("trade_id", "book_side", "yes_price_dollars", "count_fp", "fee_cost", "ts_ms")
    ]
    + [(ORDER, name) for name in ("order_id", "status", "remaining_count_fp", "yes_price_dollars")]
    + [(TRADE, name) for name in ("yes_price_dollars", "count_fp", "trade_id")],
)
@pytest.mark.parametrize("how", ["missing", "null", "wrong type"])
def test_a_field_that_is_missing_or_of_another_type_is_named(document, field, how):
    if how == "missing":
        broken = without(document, field)
    else:
        broken = {**document, "msg": {**document["msg"], field: None if how == "null" else [1]}}
    found = frame(broken)
    assert isinstance(found, MalformedFrame)
    assert found.error.field.endswith(f"msg.{field}")
    assert (found.type, found.sid, found.seq) == (document["type"], document["sid"], document.get("seq"))
    if field not in {"market_ticker", "ticker"}:
        assert found.ticker == T


@pytest.mark.parametrize("side", ["bid", "YES", ""])
def test_a_side_outside_the_contract_is_malformed_not_guessed(side):
    found = frame({**DELTA, "msg": {**DELTA["msg"], "side": side}})
    assert isinstance(found, MalformedFrame)
    assert found.error.field == "kalshi-ws.msg.side"


@pytest.mark.parametrize("price", ["0.0000", "1.0000", "0.37005", "-0.10", "37", "abc", ""])
def test_a_price_at_which_nothing_can_rest_is_an_error(price):
    found = frame({**DELTA, "msg": {**DELTA["msg"], "price_dollars": price}})
    with pytest.raises(WireError, match="price_dollars"):
        book_delta(found, 9)


def test_unknown_types_keep_their_place_in_the_sequence():
    assert frame({"type": "brand_new", "sid": 3, "seq": 7}) == UnknownFrame("brand_new", 3, 7)
    assert frame({"type": "brand_new", "sid": True}) == UnknownFrame("brand_new", None, None)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"sid":1}', '{"type":5}', "\x00"])
def test_what_is_no_message_is_malformed(text):
    assert isinstance(decode_frame(text), MalformedFrame)


@given(st.integers(1, 9_999), st.integers(-(10**9), 10**9), st.sampled_from(["yes", "no"]))
def test_deltas_survive_the_wire(price, delta, side):
    msg = {
        "market_ticker": T,
        "price_dollars": format_price(price),
        "delta_fp": format_count(delta),
        "side": side,
    }
    found = frame({"type": "orderbook_delta", "sid": 1, "seq": 1, "msg": msg})
    assert isinstance(found, DeltaFrame)
    event = book_delta(found, 9)
    assert (event.price, event.delta, event.side is BookSide.BID) == (price, delta, side == "yes")


@given(st.binary(max_size=60))
def test_no_bytes_make_the_decoder_raise(raw):
    assert isinstance(decode_frame(raw), MalformedFrame | UnknownFrame)
