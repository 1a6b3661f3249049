"""Order entry over REST: the V2 create and cancel calls, and the answer to retired V1 writes."""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from src.core.errors import WireError
from src.core.sides import BookSide
from src.core.signal import TimeInForce
from src.core.units import (
    DOLLAR_PRICE,
    SECOND,
    Cash,
    Count,
    format_count,
    format_price,
    parse_count,
    parse_price,
)
from src.simulator.answers import API, KEY_ID, json_answer
from src.simulator.exchange import Exchange
from src.simulator.queries import Query
from src.simulator.records import NewOrder, SelfTradePrevention, VenueOrder
from src.simulator.render import Json, millis
from src.simulator.wire_errors import bad_request, nested

_LONGEST_CLIENT_ID = 64
_MOST_SHARDS = 64
E = TypeVar("E", bound=Enum)


class OrdersApi:
    """Handlers that change the asking key's orders."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[web.RouteDef]:
        """The routes of this part of the API. V1 writes of any kind are gone."""
        v1 = f"{API}/portfolio/orders"
        return [
            web.post(f"{API}/portfolio/events/orders", self._create),
            web.delete(f"{API}/portfolio/events/orders", self._cancel_all),
            web.delete(f"{API}/portfolio/events/orders/{{order_id}}", self._cancel),
            web.post(v1, self._retired),
            web.delete(v1, self._retired),
            web.post(f"{v1}/{{rest:.*}}", self._retired),
            web.delete(f"{v1}/{{rest:.*}}", self._retired),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        new = parse_new_order(await request.read())
        order = self._exchange.create(request[KEY_ID], new)
        return json_answer(_created(order), 201)

    async def _cancel(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        index = query.number("exchange_index", -1, -1, _MOST_SHARDS) if query.has("exchange_index") else None
        order, taken_out = self._exchange.cancel(
            request[KEY_ID], request.match_info["order_id"], query.text("market_ticker") or None, index
        )
        return json_answer(
            {
                "order_id": order.order_id,
                "client_order_id": order.client_order_id,
                "reduced_by": format_count(taken_out),
                "ts_ms": millis(order.updated_ts),
            }
        )

    async def _cancel_all(self, request: web.Request) -> web.Response:
        self._exchange.cancel_all(request[KEY_ID])
        return web.Response(status=204)

    async def _retired(self, request: web.Request) -> web.Response:
        raise nested(410, "deprecated_v1_order_endpoint", "use /portfolio/events/orders")


def parse_new_order(raw: bytes) -> NewOrder:
    """The create body. Raises ``ApiError``: flat for what does not decode, nested for wrong values."""
    try:
        body = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise bad_request(f"invalid JSON: {error}") from None
    if not isinstance(body, dict):
        raise bad_request("expected a JSON object")
    ticker, client_id = _text(body, "ticker"), _text(body, "client_order_id", optional=True)
    if len(client_id) > _LONGEST_CLIENT_ID:
        raise bad_request(f"client_order_id: longer than {_LONGEST_CLIENT_ID} characters")
    side = _choice(BookSide, _text(body, "side"), "side")
    count_text, price_text = _text(body, "count"), _text(body, "price")
    expiration = _whole(body, "expiration_time")
    if _whole(body, "subaccount"):
        raise nested(404, "user_not_found")
    if body.get("order_group_id"):
        raise nested(404, "not_found", "order group")
    try:
        count = parse_count(count_text)
    except WireError as error:
        raise nested(400, "invalid_order_size", str(error)) from None
    try:
        price = parse_price(price_text)
    except WireError as error:
        raise nested(400, "invalid_price", str(error)) from None
    return NewOrder(
        ticker=ticker,
        side=side,
        price=price,
        count=count,
        time_in_force=_choice(TimeInForce, _text(body, "time_in_force"), "time_in_force"),
        self_trade_prevention=_choice(
            SelfTradePrevention, _text(body, "self_trade_prevention_type"), "self_trade_prevention_type"
        ),
        client_order_id=client_id,
        post_only=_flag(body, "post_only"),
        reduce_only=_flag(body, "reduce_only"),
        expiration_ts=expiration * SECOND if expiration is not None else None,
        cancel_on_pause=_flag(body, "cancel_order_on_pause"),
        exchange_index=_whole(body, "exchange_index"),
    )


def _created(order: VenueOrder) -> Json:
    body: Json = {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "fill_count": format_count(order.filled),
        "remaining_count": format_count(order.remaining),
        "ts_ms": millis(order.updated_ts),
    }
    if order.filled:
        paid = order.taker_cost
        if order.side is BookSide.ASK:
            paid = order.filled * DOLLAR_PRICE - paid
        body["average_fill_price"] = _average(paid, order.filled)
        body["average_fee_paid"] = _average(order.taker_fees, order.filled)
    return body


def _average(total: Cash, count: Count) -> str:
    """Dollars per contract, rounded half up to 4 decimals (so it is not exact: fills are)."""
    return format_price((2 * total + count) // (2 * count))


def _text(body: dict[str, Any], name: str, *, optional: bool = False) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        kind = "number" if type(value) in (int, float) else "value"
        raise bad_request(
            f"json: cannot unmarshal {kind} into Go struct field CreateOrderV2Request.{name} of type string"
        )
    if not value and not optional:
        raise bad_request(f"{name} is required")
    return value


def _flag(body: dict[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise bad_request(f"{name}: expected a boolean")
    return value


def _whole(body: dict[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise bad_request(f"{name}: expected an integer")
    return value


def _choice(kind: type[E], value: str, name: str) -> E:
    try:
        return kind(value)
    except ValueError:
        raise bad_request(f"{name}: unknown value") from None
