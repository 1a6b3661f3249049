"""What can be asked for and never is here: deposits, target balances, combos, quotes, milestones.

Clients ask for it while they start; each answer is that of an exchange, or an account, without any of it.
"""

from __future__ import annotations

from aiohttp import web

from src.simulator.answers import API, json_answer
from src.simulator.exchange import Exchange
from src.simulator.render import CATEGORY, Json
from src.simulator.wire_errors import nested

_ANSWERS: dict[str, Json] = {
    "/portfolio/deposits": {"deposits": [], "cursor": ""},
    "/portfolio/withdrawals": {"withdrawals": [], "cursor": ""},
    "/portfolio/target_balance_allocation": {"allocations": [], "resting_margin_reservation": "none"},
    "/account/api_usage_level/volume_progress": {"volume_progress": []},
    "/communications/rfqs": {"rfqs": [], "cursor": ""},
    "/communications/quotes": {"quotes": [], "cursor": ""},
    "/communications/block-trade-proposals": {"block_trade_proposals": [], "cursor": ""},
    "/multivariate_event_collections": {"multivariate_contracts": [], "cursor": ""},
    "/milestones": {"milestones": [], "cursor": ""},
    "/structured_targets": {"structured_targets": [], "cursor": ""},
    "/incentive_programs": {"incentive_programs": [], "next_cursor": ""},
    "/search/tags_by_categories": {"tags_by_categories": {CATEGORY: []}},
    "/search/filters_by_sport": {"filters_by_sports": {}, "sport_ordering": []},
}


class DormantApi:
    """Handlers whose answers never change, and an event's metadata, which is nearly so."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[web.RouteDef]:
        """The routes of this part of the API."""
        return [
            *(web.get(f"{API}{path}", self._nothing) for path in _ANSWERS),
            web.get(f"{API}/portfolio/subaccounts/netting", self._netting),
            web.get(f"{API}/events/{{ticker}}/metadata", self._metadata),
        ]

    async def _nothing(self, request: web.Request) -> web.Response:
        return json_answer(_ANSWERS[request.path.removeprefix(API)])

    async def _netting(self, request: web.Request) -> web.Response:
        """Off, for the primary subaccount: each market stands for itself."""
        configs = [
            {"subaccount_number": 0, "enabled": False, "exchange_index": shard}
            for shard in self._exchange.shards
        ]
        return json_answer({"netting_configs": configs})

    async def _metadata(self, request: web.Request) -> web.Response:
        event = self._exchange.events.get(request.match_info["ticker"])
        if event is None:
            raise nested(404, "not_found")
        details = [{"market_ticker": ticker, "image_url": "", "color_code": ""} for ticker in event.tickers]
        return json_answer({"image_url": "", "settlement_sources": [], "market_details": details})
