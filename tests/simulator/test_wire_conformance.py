"""Answers have the shapes of Kalshi's own API descriptions, where those are at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from src.core.sides import BookSide
from src.core.units import HOUR
from src.simulator.world import CrowdQuote, CrowdTake, Determine, ListEvent

from .conftest import EVENT, OTHER, T0, TICKER, ScriptedWorld, Serve, command, listing, make_market, receive

SPECIFICATIONS = Path(__file__).parents[3] / "shared" / "kalshi"
ORDERS = "/portfolio/events/orders"


def _json_schema(node: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: ``nullable`` becomes a type, everything else stays."""
    if isinstance(node, list):
        return [_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {key: _json_schema(value) for key, value in node.items() if key != "nullable"}
    return {"anyOf": [made, {"type": "null"}]} if node.get("nullable") is True else made


def _load(name: str) -> dict[str, Any]:
    path = SPECIFICATIONS / name
    if not path.exists():
        pytest.skip(f"{path.name} is not at {path.parent}: conformance cannot be checked")
    document: dict[str, Any] = _json_schema(yaml.load(path.read_text(), Loader=yaml.CSafeLoader))
    return document


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return _load("openapi.yaml")


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    return _load("asyncapi.yaml")


def check(document: dict[str, Any], schema: str, body: Any) -> None:
    reference = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    problems = [
        f"{schema}: {error.json_path}: {error.message}"
        for error in Draft202012Validator(reference).iter_errors(body)
    ]
    assert problems == []


def lived_world() -> ScriptedWorld:
    quote = CrowdQuote(T0, TICKER, ((4100, 2500), (4200, 1300)), ((4400, 1700), (4500, 2000)))
    return ScriptedWorld(
        [
            listing(make_market(), make_market(OTHER)),
            quote,
            CrowdTake(T0 + 1, TICKER, BookSide.BID, 4400, 300),
            Determine(T0 + 30 * HOUR, TICKER, "yes", 10_000, "50.00"),
        ]
    )


READS = {
    "/exchange/status": "ExchangeStatus",
    "/exchange/schedule": "GetExchangeScheduleResponse",
    "/exchange/user_data_timestamp": "GetUserDataTimestampResponse",
    "/account/limits": "GetAccountApiLimitsResponse",
    "/account/endpoint_costs": "GetAccountEndpointCostsResponse",
    "/series": "GetSeriesListResponse",
    "/series/KXHIGHNY": "GetSeriesResponse",
    "/events": "GetEventsResponse",
    "/events?with_nested_markets=true": "GetEventsResponse",
    f"/events/{EVENT}": "GetEventResponse",
    "/markets": "GetMarketsResponse",
    f"/markets/{TICKER}": "GetMarketResponse",
    f"/markets/{TICKER}/orderbook": "GetMarketOrderbookResponse",
    f"/markets/orderbooks?tickers={TICKER}&tickers={OTHER}": "GetMarketOrderbooksResponse",
    "/markets/trades": "GetTradesResponse",
    "/portfolio/balance": "GetBalanceResponse",
    "/portfolio/positions?settlement_status=all": "GetPositionsResponse",
    "/portfolio/fills": "GetFillsResponse",
    "/portfolio/orders": "GetOrdersResponse",
    "/portfolio/settlements": "GetSettlementsResponse",
}


async def test_rest_answers_match_the_openapi_document(serve: Serve, openapi: dict[str, Any]) -> None:
    served = await serve(lived_world())
    client = served.client
    served.service.driver.step_until(T0 + 1)
    created = await client.create(price="0.4400", count="20", client_order_id="x")
    check(openapi, "CreateOrderV2Response", created.json())
    order_id = created.json()["order_id"]
    check(openapi, "GetOrderResponse", await client.get(f"/portfolio/orders/{order_id}"))
    canceled = await client.call("DELETE", f"{ORDERS}/{order_id}?market_ticker={TICKER}")
    check(openapi, "CancelOrderV2Response", canceled.json())
    await client.create(ticker=OTHER, expiration_time=T0 // 10**9 + 600)
    for settled in (False, True):
        if settled:
            served.service.driver.step_until(T0 + 40 * HOUR)
            assert (await client.get("/portfolio/settlements"))["settlements"]
        for path, schema in READS.items():
            check(openapi, schema, await client.get(path))


PAYLOADS = {
    "subscribed": "subscribedResponsePayload",
    "ok": "okResponsePayload",
    "unsubscribed": "unsubscribedResponsePayload",
    "error": "errorResponsePayload",
    "orderbook_snapshot": "orderbookSnapshotPayload",
    "orderbook_delta": "orderbookDeltaPayload",
    "ticker": "tickerPayload",
    "trade": "tradePayload",
    "fill": "fillPayload",
    "user_order": "userOrderPayload",
    "market_position": "marketPositionPayload",
    "market_lifecycle_v2": "marketLifecycleV2Payload",
    "event_lifecycle": "eventLifecyclePayload",
}


async def test_websocket_frames_match_the_asyncapi_document(serve: Serve, asyncapi: dict[str, Any]) -> None:
    world = lived_world()
    late = make_market("KXHIGHNY-26NOV24-T48", event_ticker="KXHIGHNY-26NOV24")
    world.script.insert(3, ListEvent(T0 + HOUR, "KXHIGHNY-26NOV24", "KXHIGHNY", "Tomorrow", (late,)))
    served = await serve(world)
    channels = ["orderbook_delta", "ticker", "trade", "fill", "user_orders", "market_positions"]
    seen: set[str] = set()
    async with served.client.connect() as socket:
        await command(socket, "subscribe", 1, channels=["market_lifecycle_v2"])
        await command(socket, "subscribe", 2, channels=channels, market_tickers=[TICKER, OTHER])
        await command(socket, "update_subscription", 3, sid=2, action="add_markets", market_ticker=OTHER)
        await command(socket, "subscribe", 4, channels=["nonsense"])
        for _ in range(11):
            frame = await receive(socket)
            check(asyncapi, PAYLOADS[frame["type"]], frame)
            seen.add(frame["type"])
        await served.client.create(price="0.4400", count="20", client_order_id="x")
        served.exchange.set_market_active(OTHER, False)
        served.service.driver.step_until(T0 + 40 * HOUR)
        await command(socket, "unsubscribe", 5, sids=[1])
        while frame["type"] != "unsubscribed":
            frame = await receive(socket)
            check(asyncapi, PAYLOADS[frame["type"]], frame)
            seen.add(frame["type"])
    assert seen == set(PAYLOADS)
