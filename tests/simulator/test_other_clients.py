"""What clients written by others need of the wire: deprecated fields they insist on, nulls they send."""

from __future__ import annotations

import json

import pytest

from src.core.units import HOUR, SECOND

from .conftest import EVENT, T0, TICKER, Serve, receive
from .test_wire_rest import quoted_world

NULLS = {
    "client_order_id": None,
    "expiration_time": None,
    "post_only": None,
    "reduce_only": None,
    "cancel_order_on_pause": None,
    "subaccount": None,
    "order_group_id": None,
    "exchange_index": None,
}


@pytest.mark.parametrize(("side", "price", "outcome"), [("bid", "0.4400", "yes"), ("ask", "0.4200", "no")])
async def test_orders_fills_and_trades_carry_the_deprecated_direction_too(
    serve: Serve, side: str, price: str, outcome: str
) -> None:
    """Kalshi's description still has these fields, and clients refuse records without them."""
    client = (await serve(quoted_world())).client
    order_id = (await client.create(side=side, price=price, count="3.00")).json()["order_id"]
    order = (await client.get(f"/portfolio/orders/{order_id}"))["order"]
    assert (order["outcome_side"], order["side"], order["action"]) == (outcome, outcome, "buy")
    [fill] = (await client.get("/portfolio/fills"))["fills"]
    assert (fill["outcome_side"], fill["side"], fill["action"]) == (outcome, outcome, "buy")
    [trade] = (await client.get("/markets/trades"))["trades"]
    assert (trade["taker_outcome_side"], trade["taker_side"]) == (outcome, outcome)


async def test_markets_carry_the_liquidity_that_clients_still_require(serve: Serve) -> None:
    """As Kalshi sent it in the end: always zero."""
    client = (await serve(quoted_world())).client
    event = await client.get(f"/events/{EVENT}?with_nested_markets=true")
    listed = (await client.get("/markets"))["markets"] + event["event"]["markets"]
    assert len(listed) == 4
    assert {market["liquidity_dollars"] for market in listed} == {"0.0000"}


async def test_optional_fields_of_an_order_may_be_null(serve: Serve) -> None:
    """A null is read as absent: clients that send every field they know are served."""
    client = (await serve()).client
    created = await client.create(**NULLS)
    assert created.status_code == 201, created.text
    order = (await client.get(f"/portfolio/orders/{created.json()['order_id']}"))["order"]
    assert (order["client_order_id"], order["order_group_id"], order["expiration_time"]) == ("", None, None)
    assert order["cancel_order_on_pause"] is False
    path = f"/portfolio/events/orders/{order['order_id']}/decrease"
    body = {"reduce_to": "4", "reduce_by": None, "market_ticker": None, "exchange_index": None}
    decreased = await client.call("POST", path, body)
    assert (decreased.status_code, decreased.json()["remaining_count"]) == (200, "4.00")


async def test_a_required_field_that_is_null_is_missed_by_name(serve: Serve) -> None:
    client = (await serve()).client
    refused = await client.create(ticker=None)
    assert (refused.status_code, refused.json()["details"]) == (400, "ticker is required")


async def test_there_are_no_combos_rather_than_no_such_listing(serve: Serve) -> None:
    client = (await serve()).client
    assert await client.get("/events/multivariate?limit=200") == {"events": [], "cursor": ""}


async def test_a_new_account_was_last_changed_when_it_was_opened(serve: Serve) -> None:
    """Not in 1970: clients judge the age of a balance by it."""
    assert (await (await serve()).client.get("/portfolio/balance"))["updated_ts"] == T0 // SECOND


async def test_requests_for_quotes_are_private_and_there_are_none(serve: Serve) -> None:
    served = await serve()
    path = "/communications/rfqs"
    assert (await served.client.http.get(served.service.rest_url + path)).status_code == 401
    assert await served.client.get(path) == {"rfqs": [], "cursor": ""}


async def test_the_primary_subaccount_has_the_accounts_cash(serve: Serve) -> None:
    served = await serve(quoted_world())
    await served.client.create(price="0.4400", count="3.00")
    served.service.driver.step_until(T0 + HOUR)
    whole = await served.client.get("/portfolio/balance")
    [listed] = (await served.client.get("/portfolio/subaccounts/balances"))["subaccount_balances"]
    assert (listed["subaccount_number"], listed["exchange_index"]) == (0, 0)
    assert listed["balance"] == whole["balance_dollars"]
    assert listed["updated_ts"] == whole["updated_ts"] > 0


async def test_a_command_in_a_binary_frame_is_a_command(serve: Serve) -> None:
    """Encoders that give bytes make a WebSocket library send binary frames; silence would be no answer."""
    async with (await serve(quoted_world())).client.connect() as socket:
        params = {"channels": ["orderbook_delta"], "market_tickers": [TICKER]}
        await socket.send(json.dumps({"id": 1, "cmd": "subscribe", "params": params}).encode())
        subscribed, snapshot = await receive(socket), await receive(socket)
        assert (subscribed["id"], subscribed["type"]) == (1, "subscribed")
        assert snapshot["type"] == "orderbook_snapshot"
        await socket.send(b"\xff\xfe")
        assert (await receive(socket))["msg"]["code"] == 1


async def test_a_null_parameter_of_a_command_is_an_absent_one(serve: Serve) -> None:
    """No list of markets means all markets, written either way; a command without an id has none."""
    async with (await serve(quoted_world())).client.connect() as socket:
        params = {"channels": ["trade"], "market_tickers": None, "market_ticker": None, "use_yes_price": None}
        await socket.send(json.dumps({"id": None, "cmd": "subscribe", "params": params}))
        subscribed = await receive(socket)
        assert subscribed["msg"] == {"channel": "trade", "sid": 1}
        assert "id" not in subscribed
        await socket.send(json.dumps({"id": 2, "cmd": "subscribe", "params": {"channels": None}}))
        assert (await receive(socket))["msg"]["code"] == 3
