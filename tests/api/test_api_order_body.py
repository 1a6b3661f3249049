"""Create bodies: the four ways to take a side, flags, and conformance with the published schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from src.api.order_body import order_body
from src.core.errors import DefiniteError
from src.core.sides import BookSide, Outcome, to_book
from src.core.signal import OrderIntent, Purpose, TimeInForce
from src.core.units import SECOND, parse_count, parse_price

OPENAPI = Path("../shared/kalshi/openapi.yaml")
GTC, IOC, FOK = TimeInForce.GOOD_TILL_CANCELED, TimeInForce.IMMEDIATE_OR_CANCEL, TimeInForce.FILL_OR_KILL


def intent(**changes: Any) -> OrderIntent:
    fields: dict[str, Any] = {
        "client_order_id": "6f0c",
        "signal_id": "s",
        "strategy": "weather",
        "ticker": "KXHIGHNY-26NOV23-B50.5",
        "event_ticker": "KXHIGHNY-26NOV23",
        "side": BookSide.ASK,
        "price": 3_700,
        "count": 1_200,
        "time_in_force": GTC,
        "purpose": Purpose.ENTRY,
        "created_ts": 0,
        "trace_id": "t",
    }
    return OrderIntent(**{**fields, **changes})


def wire(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(msgspec.json.encode(order_body(intent(**changes))))
    return body


@pytest.fixture(scope="module")
def validator() -> jsonschema.Validator:
    if not OPENAPI.exists():
        pytest.skip(f"{OPENAPI} is not there")
    document = yaml.load(OPENAPI.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    schemas = document["components"]["schemas"]
    root = {"$ref": "#/components/schemas/CreateOrderV2Request", "components": {"schemas": schemas}}
    return jsonschema.Draft7Validator(root)


def test_buying_twelve_no_at_63_is_the_documented_body():
    assert wire(post_only=True, exchange_index=0) == {
        "ticker": "KXHIGHNY-26NOV23-B50.5",
        "client_order_id": "6f0c",
        "side": "ask",
        "count": "12.00",
        "price": "0.3700",
        "time_in_force": "good_till_canceled",
        "post_only": True,
        "self_trade_prevention_type": "taker_at_cross",
        "cancel_order_on_pause": True,
        "exchange_index": 0,
    }


@pytest.mark.parametrize(
    ("outcome", "price", "side", "yes_price"),
    [
        (Outcome.YES, 3_700, "bid", "0.3700"),
        (Outcome.NO, 6_300, "ask", "0.3700"),
        (Outcome.NO, 100, "ask", "0.9900"),
    ],
)
def test_outcomes_map_to_the_yes_book(outcome, price, side, yes_price):
    book_side, book_price = to_book(outcome, price)
    body = wire(side=book_side, price=book_price)
    assert (body["side"], body["price"]) == (side, yes_price)


def test_expiration_is_whole_seconds_and_only_for_resting_orders():
    assert wire(expiration_ts=1_795_334_400 * SECOND + 999)["expiration_time"] == 1_795_334_400
    assert "expiration_time" not in wire(expiration_ts=5 * SECOND, time_in_force=IOC)


def test_only_resting_orders_are_cancelled_on_pause():
    assert "cancel_order_on_pause" not in wire(time_in_force=IOC)
    assert "cancel_order_on_pause" not in wire(time_in_force=FOK)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"price": 0}, "price"),
        ({"price": 10_000}, "price"),
        ({"count": 0}, "count"),
        ({"count": -100}, "count"),
        ({"client_order_id": ""}, "client_order_id"),
        ({"client_order_id": "x" * 65}, "client_order_id"),
        ({"reduce_only": True}, "reduce_only"),
        ({"post_only": True, "time_in_force": IOC}, "post_only"),
    ],
)
def test_what_the_venue_would_refuse_is_not_built(changes, field):
    with pytest.raises(DefiniteError, match=field) as caught:
        order_body(intent(**changes))
    assert caught.value.code == "invalid_intent"


@given(data=st.data())
def test_every_body_conforms_to_the_published_schema_and_keeps_price_and_count(validator, data):
    time_in_force = data.draw(st.sampled_from(list(TimeInForce)))
    price, count = data.draw(st.integers(1, 9_999)), data.draw(st.integers(1, 10**9))
    body = wire(
        side=data.draw(st.sampled_from(list(BookSide))),
        price=price,
        count=count,
        time_in_force=time_in_force,
        post_only=time_in_force is GTC and data.draw(st.booleans()),
        reduce_only=time_in_force is IOC and data.draw(st.booleans()),
        expiration_ts=data.draw(st.none() | st.integers(SECOND, 2**62)),
        exchange_index=data.draw(st.integers(0, 3)),
    )
    validator.validate(body)
    assert parse_price(body["price"]) == price
    assert parse_count(body["count"]) == count
    assert {type(body["price"]), type(body["count"])} == {str}
