"""Order entry over REST: create, amend, decrease, cancel (V2), and the answer to retired V1 writes."""

from __future__ import annotations

from aiohttp import web

from src.core.sides import BookSide
from src.core.signal import TimeInForce
from src.core.units import DOLLAR_PRICE, Cash, Count, format_count, format_price
from src.simulator.answers import API, KEY_ID, json_answer
from src.simulator.body_fields import Body
from src.simulator.exchange import Exchange
from src.simulator.order_changes import Amended, Amendment
from src.simulator.queries import Query
from src.simulator.records import NewOrder, SelfTradePrevention, VenueOrder
from src.simulator.render import Json, millis
from src.simulator.wire_errors import nested

_MOST_SHARDS = 64


class OrdersApi:
    """Handlers that change one of the asking key's orders, or cancel them all."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[web.RouteDef]:
        """The routes of this part of the API. V1 writes of any kind are gone."""
        v1, v2 = f"{API}/portfolio/orders", f"{API}/portfolio/events/orders"
        return [
            web.post(v2, self._create),
            web.delete(v2, self._cancel_all),
            web.delete(f"{v2}/{{order_id}}", self._cancel),
            web.post(f"{v2}/{{order_id}}/amend", self._amend),
            web.post(f"{v2}/{{order_id}}/decrease", self._decrease),
            web.post(v1, self._retired),
            web.delete(v1, self._retired),
            web.post(f"{v1}/{{rest:.*}}", self._retired),
            web.delete(f"{v1}/{{rest:.*}}", self._retired),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        new = parse_new_order(await request.read())
        return json_answer(created(self._exchange.create(request[KEY_ID], new)), 201)

    async def _amend(self, request: web.Request) -> web.Response:
        body = Body.decode(await request.read(), "AmendOrderV2Request")
        wanted = Amendment(
            order_id=request.match_info["order_id"],
            ticker=body.text("ticker"),
            side=body.choice(BookSide, "side"),
            price=body.price("price"),
            count=body.count("count"),
            client_order_id=body.client_id(),
            updated_client_order_id=body.client_id("updated_client_order_id"),
            expiration_ts=body.seconds("expiration_time"),
            exchange_index=body.whole("exchange_index"),
        )
        order = self._exchange.account(request[KEY_ID]).orders.get(wanted.order_id)
        before = order.remaining if order is not None else 0
        return json_answer(_amended(self._exchange.amend(request[KEY_ID], wanted), before))

    async def _decrease(self, request: web.Request) -> web.Response:
        body = Body.decode(await request.read(), "DecreaseOrderV2Request")
        order = self._exchange.decrease(
            request[KEY_ID],
            request.match_info["order_id"],
            reduce_by=body.count("reduce_by") if body.has("reduce_by") else None,
            reduce_to=body.count("reduce_to") if body.has("reduce_to") else None,
            market_ticker=body.text("market_ticker", optional=True) or None,
            exchange_index=body.whole("exchange_index"),
        )
        return json_answer(_named(order) | {"remaining_count": format_count(order.remaining)})

    async def _cancel(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        index = query.number("exchange_index", -1, -1, _MOST_SHARDS) if query.has("exchange_index") else None
        order, taken_out = self._exchange.cancel(
            request[KEY_ID], request.match_info["order_id"], query.text("market_ticker") or None, index
        )
        return json_answer(canceled(order, taken_out))

    async def _cancel_all(self, request: web.Request) -> web.Response:
        self._exchange.cancel_all(request[KEY_ID])
        return web.Response(status=204)

    async def _retired(self, request: web.Request) -> web.Response:
        raise nested(410, "deprecated_v1_order_endpoint", "use /portfolio/events/orders")


def parse_new_order(raw: bytes) -> NewOrder:
    """The create body. Raises ``ApiError``: flat for what does not decode, nested for wrong values."""
    return new_order(Body.decode(raw, "CreateOrderV2Request"))


def new_order(body: Body) -> NewOrder:
    """A create request. Raises ``ApiError``."""
    body.check_subaccount()
    return NewOrder(
        ticker=body.text("ticker"),
        side=body.choice(BookSide, "side"),
        count=body.count("count"),
        price=body.price("price"),
        time_in_force=body.choice(TimeInForce, "time_in_force"),
        self_trade_prevention=body.choice(SelfTradePrevention, "self_trade_prevention_type"),
        client_order_id=body.client_id(),
        post_only=body.flag("post_only"),
        reduce_only=body.flag("reduce_only"),
        expiration_ts=body.seconds("expiration_time"),
        cancel_on_pause=body.flag("cancel_order_on_pause"),
        exchange_index=body.whole("exchange_index"),
        order_group_id=body.text("order_group_id", optional=True),
    )


def created(order: VenueOrder) -> Json:
    """``CreateOrderV2Response``."""
    sizes = {
        "fill_count": format_count(order.filled),
        "remaining_count": format_count(order.remaining),
    }
    averages = _averages(order.side, order.filled, order.taker_cost, order.taker_fees)
    return _named(order) | sizes | averages


def canceled(order: VenueOrder, taken_out: Count) -> Json:
    """``CancelOrderV2Response``."""
    return _named(order) | {"reduced_by": format_count(taken_out)}


def _amended(made: Amended, before: Count) -> Json:
    """``AmendOrderV2Response``: sizes only when something traded or the resting size changed."""
    order, body = made.order, _named(made.order)
    if made.filled or order.remaining != before:
        body["remaining_count"] = format_count(order.remaining)
        body["fill_count"] = format_count(made.filled)
    return body | _averages(order.side, made.filled, made.cost, made.fees)


def _named(order: VenueOrder) -> Json:
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "ts_ms": millis(order.updated_ts),
    }


def _averages(side: BookSide, filled: Count, cost: Cash, fees: Cash) -> Json:
    """YES price and fee per contract of what was filled; nothing when nothing was."""
    if not filled:
        return {}
    paid = cost if side is BookSide.BID else filled * DOLLAR_PRICE - cost
    return {"average_fill_price": _average(paid, filled), "average_fee_paid": _average(fees, filled)}


def _average(total: Cash, count: Count) -> str:
    """Dollars per contract, rounded half up to 4 decimals (so it is not exact: fills are)."""
    return format_price((2 * total + count) // (2 * count))
