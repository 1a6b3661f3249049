"""Batches of orders over REST: each item succeeds or fails on its own, inside one answer."""

from __future__ import annotations

from aiohttp import web

from src.core.units import format_count
from src.simulator.answers import API, KEY_ID, json_answer
from src.simulator.body_fields import Body
from src.simulator.exchange import Exchange
from src.simulator.refusals import OrderRefused
from src.simulator.render import Json
from src.simulator.rest_orders import canceled, created, new_order
from src.simulator.wire_errors import ApiError, refused


class BatchesApi:
    """Handlers of batch create and batch cancel. What they cost was charged before, all at once."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[web.RouteDef]:
        """The routes of this part of the API (before those with an order id in the same place)."""
        return [
            web.post(f"{API}/portfolio/events/orders/batched", self._create),
            web.delete(f"{API}/portfolio/events/orders/batched", self._cancel),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        body = Body.decode(await request.read(), "BatchCreateOrdersV2Request")
        items = body.items("orders", "CreateOrderV2Request")
        return json_answer({"orders": [self._created(request[KEY_ID], item) for item in items]}, 201)

    def _created(self, key_id: str, item: Body) -> Json:
        client_order_id = item.client_id()
        try:
            return created(self._exchange.create(key_id, new_order(item)))
        except (OrderRefused, ApiError) as error:
            return {"client_order_id": client_order_id, "error": _error(error)}

    async def _cancel(self, request: web.Request) -> web.Response:
        body = Body.decode(await request.read(), "BatchCancelOrdersV2Request")
        items = body.items("orders", "BatchCancelOrdersV2RequestOrder")
        return json_answer({"orders": [self._canceled(request[KEY_ID], item) for item in items]})

    def _canceled(self, key_id: str, item: Body) -> Json:
        order_id = item.text("order_id")
        try:
            item.check_subaccount()
            ticker = item.text("market_ticker", optional=True) or None
            index = item.whole("exchange_index")
            return canceled(*self._exchange.cancel(key_id, order_id, ticker, index))
        except (OrderRefused, ApiError) as error:
            return {"order_id": order_id, "reduced_by": format_count(0), "error": _error(error)}


def _error(error: OrderRefused | ApiError) -> object:
    """``ErrorResponse``, as a single request would carry it."""
    body = (refused(error) if isinstance(error, OrderRefused) else error).body
    return body.get("error", body)
