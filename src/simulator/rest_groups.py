"""Order groups over REST."""

from __future__ import annotations

from aiohttp import web

from src.core.units import ONE_CONTRACT, Count, format_count
from src.simulator.account import Account
from src.simulator.answers import API, KEY_ID, json_answer
from src.simulator.body_fields import Body
from src.simulator.exchange import Exchange
from src.simulator.groups import OrderGroup
from src.simulator.refusals import group_not_found
from src.simulator.render import Json
from src.simulator.wire_errors import bad_request

_GROUPS = f"{API}/portfolio/order_groups"


class GroupsApi:
    """Handlers of the asking key's order groups."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[web.RouteDef]:
        """The routes of this part of the API."""
        one = f"{_GROUPS}/{{group_id}}"
        return [
            web.get(_GROUPS, self._list),
            web.post(f"{_GROUPS}/create", self._create),
            web.get(one, self._get),
            web.delete(one, self._delete),
            web.put(f"{one}/reset", self._reset),
            web.put(f"{one}/trigger", self._trigger),
            web.put(f"{one}/limit", self._limit),
        ]

    def _account(self, request: web.Request) -> Account:
        return self._exchange.account(request[KEY_ID])

    async def _list(self, request: web.Request) -> web.Response:
        groups = [{"id": each.group_id, **_group(each)} for each in self._account(request).groups.values()]
        return json_answer({"order_groups": groups})

    async def _create(self, request: web.Request) -> web.Response:
        body = Body.decode(await request.read(), "CreateOrderGroupRequest")
        body.check_subaccount()
        shard = body.whole("exchange_index") or 0
        group = self._exchange.create_group(request[KEY_ID], _limit_of(body), shard)
        made = {"order_group_id": group.group_id, "subaccount": 0, "exchange_index": group.exchange_index}
        return json_answer(made, 201)

    async def _get(self, request: web.Request) -> web.Response:
        account, group_id = self._account(request), request.match_info["group_id"]
        group = account.groups.get(group_id)
        if group is None:
            raise group_not_found()
        orders = [
            order_id
            for order_id, order in account.open_orders.items()
            if order.request.order_group_id == group_id
        ]
        return json_answer({**_group(group), "orders": orders})

    async def _delete(self, request: web.Request) -> web.Response:
        self._exchange.delete_group(request[KEY_ID], request.match_info["group_id"])
        return json_answer({})

    async def _reset(self, request: web.Request) -> web.Response:
        self._exchange.reset_group(request[KEY_ID], request.match_info["group_id"])
        return json_answer({})

    async def _trigger(self, request: web.Request) -> web.Response:
        self._exchange.trigger_group(request[KEY_ID], request.match_info["group_id"])
        return json_answer({})

    async def _limit(self, request: web.Request) -> web.Response:
        body = Body.decode(await request.read(), "UpdateOrderGroupLimitRequest")
        self._exchange.limit_group(request[KEY_ID], request.match_info["group_id"], _limit_of(body))
        return json_answer({})


def _group(group: OrderGroup) -> Json:
    return {
        "is_auto_cancel_enabled": True,
        "contracts_limit_fp": format_count(group.limit),
        "exchange_index": group.exchange_index,
    }


def _limit_of(body: Body) -> Count:
    """``contracts_limit_fp`` or the whole ``contracts_limit``; both must agree."""
    whole = body.whole("contracts_limit")
    if not body.has("contracts_limit_fp"):
        if whole is None:
            raise bad_request("contracts_limit or contracts_limit_fp is required")
        return whole * ONE_CONTRACT
    limit = body.count("contracts_limit_fp")
    if whole is not None and whole * ONE_CONTRACT != limit:
        raise bad_request("contracts_limit and contracts_limit_fp differ")
    return limit
