"""Every call of the client against the published contract: path, query, body, and a minimal answer."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from jsonschema import Draft202012Validator

from src.api import endpoints
from src.api.client import KalshiClient
from src.api.endpoints import Endpoint
from src.api.market_filter import TimeFilter
from src.api.schema_orders import AmendOrderBody, CancelItemBody, CreateOrderBody

SPECIFICATION = Path(__file__).parents[3] / "shared" / "kalshi" / "openapi.yaml"
ORDER = CreateOrderBody(
    ticker="T",
    client_order_id="c1",
    side="ask",
    count="12.00",
    price="0.3700",
    time_in_force="good_till_canceled",
    self_trade_prevention_type="taker_at_cross",
    exchange_index=0,
    post_only=True,
    cancel_order_on_pause=True,
    expiration_time=1_795_420_800,
    order_group_id="g1",
)
AMENDED = AmendOrderBody("T", "bid", "0.4000", "3.00", 0, "c1", "c2", 0)
CANCELED = CancelItemBody("o1", "T", 0)

Call = Callable[[KalshiClient], Awaitable[Any]]
CALLS: dict[str, tuple[Endpoint, Call]] = {
    "exchange_status": (endpoints.EXCHANGE_STATUS, lambda c: c.exchange_status()),
    "exchange_schedule": (endpoints.EXCHANGE_SCHEDULE, lambda c: c.exchange_schedule()),
    "user_data_timestamp": (endpoints.USER_DATA_TIMESTAMP, lambda c: c.user_data_timestamp()),
    "series": (endpoints.SERIES, lambda c: c.series("S")),
    "series_list": (
        endpoints.SERIES_LIST,
        lambda c: c.series_list(category="Climate and Weather", tags="a,b", min_updated_ts=1),
    ),
    "series_fee_changes": (
        endpoints.SERIES_FEE_CHANGES,
        lambda c: c.series_fee_changes("S", show_historical=True),
    ),
    "events": (
        endpoints.EVENTS,
        lambda c: c.events("S", "open", tickers=["E"], min_close_ts=1, min_updated_ts=2),
    ),
    "event": (endpoints.EVENT, lambda c: c.event("E")),
    "event_fee_changes": (endpoints.EVENT_FEE_CHANGES, lambda c: c.event_fee_changes("E")),
    "markets": (
        endpoints.MARKETS,
        lambda c: c.markets(
            event_ticker="E",
            series_ticker="S",
            tickers=["T"],
            status="open",
            time=TimeFilter("created", 1, 2),
        ),
    ),
    "markets closing": (
        endpoints.MARKETS,
        lambda c: c.markets(status="closed", time=TimeFilter("close", 1, 2), mve="only"),
    ),
    "markets settled": (
        endpoints.MARKETS,
        lambda c: c.markets(status="settled", time=TimeFilter("settled", 1, 2)),
    ),
    "markets updated": (
        endpoints.MARKETS,
        lambda c: c.markets(series_ticker="S", time=TimeFilter("updated", 1, 2)),
    ),
    "market": (endpoints.MARKET, lambda c: c.market("T")),
    "orderbook": (endpoints.ORDERBOOK, lambda c: c.orderbook("T")),
    "orderbooks": (endpoints.ORDERBOOKS, lambda c: c.orderbooks(["T"])),
    "trades": (endpoints.TRADES, lambda c: c.trades(ticker="T", min_ts=1, max_ts=2)),
    "candles": (endpoints.CANDLES, lambda c: c.candles("S", "T", 1, 2, 60)),
    "markets_candles": (endpoints.MARKETS_CANDLES, lambda c: c.markets_candles(["text"], 1, 2, 1)),
    "event_candles": (endpoints.EVENT_CANDLES, lambda c: c.event_candles("S", "E", 1, 2, 1440)),
    "archive_cutoff": (endpoints.ARCHIVE_CUTOFF, lambda c: c.archive_cutoff()),
    "archived_markets": (endpoints.ARCHIVED_MARKETS, lambda c: c.archived_markets(series_ticker="S")),
    "archived_market": (endpoints.ARCHIVED_MARKET, lambda c: c.archived_market("T")),
    "archived_candles": (endpoints.ARCHIVED_CANDLES, lambda c: c.archived_candles("T", 1, 2, 60)),
    "archived_trades": (
        endpoints.ARCHIVED_TRADES,
        lambda c: c.archived_trades(ticker="T", min_ts=1, max_ts=2),
    ),
    "archived_fills": (endpoints.ARCHIVED_FILLS, lambda c: c.archived_fills(ticker="T", min_ts=1, max_ts=2)),
    "archived_orders": (
        endpoints.ARCHIVED_ORDERS,
        lambda c: c.archived_orders(ticker="T", min_ts=1, max_ts=2),
    ),
    "archived_positions": (
        endpoints.ARCHIVED_POSITIONS,
        lambda c: c.archived_positions(ticker="T", event_ticker="E"),
    ),
    "limits": (endpoints.LIMITS, lambda c: c.limits()),
    "endpoint_costs": (endpoints.ENDPOINT_COSTS, lambda c: c.endpoint_costs()),
    "api_keys": (endpoints.API_KEYS, lambda c: c.api_keys()),
    "balance": (endpoints.BALANCE, lambda c: c.balance()),
    "positions": (
        endpoints.POSITIONS,
        lambda c: c.positions(settlement_status="all", ticker="T", event_ticker="E"),
    ),
    "orders": (
        endpoints.ORDERS,
        lambda c: c.orders(status="resting", ticker="T", event_ticker="E", min_ts=1, max_ts=2),
    ),
    "order": (endpoints.ORDER, lambda c: c.order("o1")),
    "queue_positions": (
        endpoints.QUEUE_POSITIONS,
        lambda c: c.queue_positions(tickers=["T"], event_ticker="E"),
    ),
    "queue_position": (endpoints.QUEUE_POSITION, lambda c: c.queue_position("o1")),
    "fills": (endpoints.FILLS, lambda c: c.fills(ticker="T", order_id="o1", min_ts=1, max_ts=2)),
    "settlements": (
        endpoints.SETTLEMENTS,
        lambda c: c.settlements(ticker="T", event_ticker="E", min_ts=1, max_ts=2),
    ),
    "order_groups": (endpoints.ORDER_GROUPS, lambda c: c.order_groups()),
    "order_group": (endpoints.ORDER_GROUP, lambda c: c.order_group("g1")),
    "create_order": (endpoints.CREATE_ORDER, lambda c: c.create_order(ORDER)),
    "create_orders": (endpoints.CREATE_ORDERS, lambda c: c.create_orders([ORDER])),
    "amend_order": (endpoints.AMEND_ORDER, lambda c: c.amend_order("o1", AMENDED)),
    "decrease_order by": (endpoints.DECREASE_ORDER, lambda c: c.decrease_order("o1", "T", 0, reduce_by=100)),
    "decrease_order to": (endpoints.DECREASE_ORDER, lambda c: c.decrease_order("o1", "T", 0, reduce_to=100)),
    "cancel_order": (endpoints.CANCEL_ORDER, lambda c: c.cancel_order("o1", "T", 0)),
    "cancel_orders": (endpoints.CANCEL_ORDERS, lambda c: c.cancel_orders([CANCELED])),
    "cancel_all_orders": (endpoints.CANCEL_ALL_ORDERS, lambda c: c.cancel_all_orders()),
    "create_order_group": (endpoints.CREATE_ORDER_GROUP, lambda c: c.create_order_group(1_000)),
    "reset_order_group": (endpoints.RESET_ORDER_GROUP, lambda c: c.reset_order_group("g1")),
    "trigger_order_group": (endpoints.TRIGGER_ORDER_GROUP, lambda c: c.trigger_order_group("g1")),
    "limit_order_group": (endpoints.LIMIT_ORDER_GROUP, lambda c: c.limit_order_group("g1", 500)),
    "delete_order_group": (endpoints.DELETE_ORDER_GROUP, lambda c: c.delete_order_group("g1")),
}


class Specification:
    """The parts of an OpenAPI 3.0 document that a request must fit."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def resolve(self, node: Any) -> Any:
        while isinstance(node, dict) and "$ref" in node:
            found: Any = self.document
            for part in node["$ref"].split("/")[1:]:
                found = found[part]
            node = found
        return node

    def operation(self, endpoint: Endpoint) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        pattern = re.sub(r"\{[^}]*\}", "{}", endpoint.path)
        for path, item in self.document["paths"].items():
            if re.sub(r"\{[^}]*\}", "{}", path) == pattern and endpoint.method.lower() in item:
                operation = item[endpoint.method.lower()]
                raw = [*operation.get("parameters", []), *item.get("parameters", [])]
                return operation, [self.resolve(each) for each in raw]
        raise AssertionError(f"{endpoint.method} {endpoint.path} is not in the specification")

    def problems(self, schema: Any, value: Any) -> list[str]:
        whole = {**_json_schema(schema), "components": self.document["components"]}
        return [f"{e.json_path}: {e.message}" for e in Draft202012Validator(whole).iter_errors(value)]

    def example(self, schema: Any) -> Any:
        """The least answer the contract allows: required fields only, one item in each list."""
        schema = self.resolve(schema)
        if "anyOf" in schema:
            return None  # it may be null
        if "allOf" in schema:
            return self.example(schema["allOf"][0])
        if "enum" in schema:
            return schema["enum"][0]
        match schema.get("type"):
            case "object":
                properties = schema.get("properties", {})
                names = schema.get("required", [])
                return {name: self.example(properties[name]) for name in names if name != "cursor"}
            case "array":
                return [self.example(schema["items"])] * schema.get("minItems", 1)
            case "integer" | "number":
                return 1
            case "boolean":
                return True
        if schema.get("format") == "date-time":
            return "2026-11-22T08:00:00.123456Z"
        text = schema.get("example", "text")
        return text if isinstance(text, str) else "text"


def _json_schema(node: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: ``nullable`` becomes a type; no properties beyond the documented."""
    if isinstance(node, list):
        return [_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {key: _json_schema(value) for key, value in node.items() if key != "nullable"}
    if made.get("type") == "object" and isinstance(made.get("properties"), dict):
        made.setdefault("additionalProperties", False)
    return {"anyOf": [made, {"type": "null"}]} if node.get("nullable") is True else made


@pytest.fixture(scope="module")
def specification() -> Specification:
    if not SPECIFICATION.exists():
        pytest.skip(f"{SPECIFICATION.name} is not at {SPECIFICATION.parent}: conformance cannot be checked")
    document = yaml.load(SPECIFICATION.read_text(), Loader=yaml.CSafeLoader)
    document["components"] = _json_schema(document["components"])
    return Specification(document)


def _typed(schema: Any, text: str) -> Any:
    match schema.get("type"):
        case "integer":
            return int(text)
        case "boolean":
            return {"true": True, "false": False}[text]
    return text


def _answer(specification: Specification, operation: dict[str, Any]) -> tuple[int, Any]:
    status, response = next((c, r) for c, r in operation["responses"].items() if c.startswith("2"))
    content = specification.resolve(response).get("content")
    if content is None:
        return int(status), None
    return int(status), specification.example(content["application/json"]["schema"])


@pytest.mark.parametrize("name", CALLS)
async def test_each_call_is_sent_as_documented_and_reads_the_least_answer(
    specification, exchange, client, name
):
    endpoint, call = CALLS[name]
    operation, parameters = specification.operation(endpoint)
    status, answer = _answer(specification, operation)
    if name in {"create_orders", "cancel_orders"}:
        answer = {"orders": [{"order_id": "o1", "reduced_by": "1.00", "error": {"code": "not_found"}}]}
    queries: list[Any] = []

    async def reply(request: web.Request) -> web.Response:
        queries.append(request.query)
        return web.Response(status=status) if answer is None else web.json_response(answer, status=status)

    path = endpoint.path
    for placeholder, value in (
        ("series_ticker", "S"),
        ("event_ticker", "E"),
        ("order_id", "o1"),
        ("order_group_id", "g1"),
        ("ticker", "E" if name == "event_candles" else "T"),
    ):
        path = path.replace("{" + placeholder + "}", value)
    exchange.routes[f"{endpoint.method} {path}"] = reply
    await call(client)

    (seen,) = exchange.requests
    assert (seen.method, seen.path) == (endpoint.method, path)
    documented = {
        each["name"]: specification.resolve(each["schema"]) for each in parameters if each["in"] == "query"
    }
    for key in queries[0]:
        assert key in documented, f"{key} is not a documented parameter"
        if documented[key].get("type") == "array":
            assert specification.problems(documented[key], queries[0].getall(key)) == []
        else:
            assert specification.problems(documented[key], _typed(documented[key], queries[0][key])) == []
    for each in parameters:
        assert each["in"] != "query" or not each.get("required") or each["name"] in queries[0]
    body = specification.resolve(operation.get("requestBody", {})).get("content")
    if body is None:
        assert seen.body == b""
    else:
        schema = body["application/json"]["schema"]
        assert specification.problems(schema, json.loads(seen.body)) == []


def test_every_endpoint_is_called_by_a_client_method_and_tested_here():
    defined = {value for value in vars(endpoints).values() if isinstance(value, Endpoint)}
    assert {endpoint for endpoint, _ in CALLS.values()} == defined


def test_every_client_method_is_covered_here_or_merges_covered_calls():
    composed = {"aclose", "keep_signature_ready"}
    names = {
        name
        for name in dir(KalshiClient)
        if not name.startswith("_") and callable(getattr(KalshiClient, name))
    }
    merged = {name for name in names if name.endswith("_all")}
    assert names - merged - composed == {name.split(" ")[0] for name in CALLS}
