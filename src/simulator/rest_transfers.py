"""Transfers of cash between shards over REST."""

from __future__ import annotations

from aiohttp import web

from src.core.fees import CENTICENT
from src.simulator import render_account
from src.simulator.answers import API, KEY_ID, json_answer
from src.simulator.body_fields import Body
from src.simulator.exchange import Exchange
from src.simulator.queries import Query, page
from src.simulator.transfers import TransferRequest
from src.simulator.wire_errors import bad_request, nested

_TRANSFERS = f"{API}/portfolio/intra_exchange_instance_transfers"
_INSTANCE = "event_contract"


class TransfersApi:
    """Handlers of transfers. Only the event contract side of the exchange is simulated."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[web.RouteDef]:
        """The routes of this part of the API."""
        return [
            web.post(f"{API}/portfolio/intra_exchange_instance_transfer", self._make),
            web.get(_TRANSFERS, self._list),
            web.get(f"{_TRANSFERS}/{{transfer_id}}", self._get),
        ]

    async def _make(self, request: web.Request) -> web.Response:
        body = Body.decode(await request.read(), "IntraExchangeInstanceTransferRequest")
        body.check_subaccount("source_subaccount")
        body.check_subaccount("destination_subaccount")
        if {body.text("source"), body.text("destination")} != {_INSTANCE}:
            raise nested(400, "invalid_order", f"only {_INSTANCE} is simulated")
        amount = body.whole("amount")
        if amount is None:
            raise bad_request("amount is required")
        made = self._exchange.transfer(
            request[KEY_ID],
            TransferRequest(
                amount=amount * CENTICENT,
                source=body.whole("source_exchange_shard") or 0,
                destination=body.whole("destination_exchange_shard") or 0,
                client_transfer_id=body.text("client_transfer_id", optional=True),
            ),
        )
        return json_answer({"transfer_id": made.transfer_id})

    async def _list(self, request: web.Request) -> web.Response:
        found = reversed(self._exchange.transfers(request[KEY_ID]))
        transfers, cursor = page(found, Query(request.query), default=100, high=500, newest_first=True)
        return json_answer(
            {"transfers": [render_account.transfer(each) for each in transfers], "cursor": cursor}
        )

    async def _get(self, request: web.Request) -> web.Response:
        transfer_id = request.match_info["transfer_id"]
        for made in self._exchange.transfers(request[KEY_ID]):
            if made.transfer_id == transfer_id:
                return json_answer({"transfer": render_account.transfer(made)})
        raise nested(404, "not_found")
