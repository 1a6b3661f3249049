"""Public REST endpoints: series, events, markets, books. Archived markets are not among them."""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp import web

from src.core.market import MarketStatus
from src.simulator import render
from src.simulator.answers import API, json_answer
from src.simulator.archive import Archive
from src.simulator.exchange import Exchange
from src.simulator.queries import Query, page
from src.simulator.states import EventState, MarketState
from src.simulator.wire_errors import invalid_parameter, nested

_STATUSES = {
    "unopened": {MarketStatus.INITIALIZED},
    "open": {MarketStatus.ACTIVE},
    "paused": {MarketStatus.INACTIVE},
    "closed": {
        MarketStatus.CLOSED,
        MarketStatus.DETERMINED,
        MarketStatus.DISPUTED,
        MarketStatus.AMENDED,
    },
    "settled": {MarketStatus.FINALIZED},
}
# Filters are not the statuses that markets have: one of those is taken and matches nothing.
_NO_FILTERS = ("initialized", "active", "inactive", "determined", "disputed", "amended", "finalized")
# Which status filters each group of time filters may be combined with ("" = none).
_TIME_FILTERS = {
    "created": {"unopened", "open", ""},
    "close": {"closed", ""},
    "settled": {"settled", ""},
    "updated": {""},
}
_MOST_BOOKS = 100


class PublicApi:
    """Handlers that read the exchange and need no key."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._archive = Archive(exchange)

    def routes(self) -> list[web.RouteDef]:
        """The routes of this part of the API."""
        return [
            web.get(f"{API}/series", self._series_list),
            web.get(f"{API}/series/{{ticker}}", self._series),
            web.get(f"{API}/events", self._events),
            web.get(f"{API}/events/multivariate", self._combos),
            web.get(f"{API}/events/{{ticker}}", self._event),
            web.get(f"{API}/markets", self._markets),
            web.get(f"{API}/markets/orderbooks", self._orderbooks),
            web.get(f"{API}/markets/{{ticker}}", self._market),
            web.get(f"{API}/markets/{{ticker}}/orderbook", self._orderbook),
        ]

    async def _series_list(self, request: web.Request) -> web.Response:
        category = request.query.get("category", render.CATEGORY)
        listed = [render.series(each) for each in self._exchange.series.values()]
        return json_answer({"series": [each for each in listed if category in each["categories"]]})

    async def _series(self, request: web.Request) -> web.Response:
        state = self._exchange.series.get(request.match_info["ticker"])
        if state is None:
            raise nested(404, "not_found")
        return json_answer({"series": render.series(state)})

    async def _events(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        status = query.choice("status", ("unopened", "open", "closed", "settled"))
        tickers, series = query.names("tickers"), query.text("series_ticker")
        least_close = query.seconds("min_close_ts")

        def wanted(state: EventState) -> bool:
            markets = [self._exchange.markets[ticker].market for ticker in state.tickers]
            return (
                (tickers is None or state.event_ticker in tickers)
                and series in ("", state.series_ticker)
                and (not status or any(each.status in _STATUSES[status] for each in markets))
                and (least_close is None or any(each.close_time >= least_close for each in markets))
                and query.covers("min_updated_ts", "", state.listed_ts)
            )

        found = (state for state in self._exchange.events.values() if wanted(state))
        events, cursor = page(found, query, default=200, high=200, newest_first=False)
        nest = query.flag("with_nested_markets")
        rendered = [render.event(self._exchange, each, with_markets=nest) for each in events]
        return json_answer({"events": rendered, "cursor": cursor})

    async def _combos(self, request: web.Request) -> web.Response:
        return json_answer({"events": [], "cursor": ""})

    async def _event(self, request: web.Request) -> web.Response:
        state = self._exchange.events.get(request.match_info["ticker"])
        if state is None:
            raise nested(404, "not_found")
        query = Query(request.query)
        nest, leave_out = query.flag("with_nested_markets"), query.flag("exclude_markets")
        markets = [
            market
            for ticker in state.tickers
            if not self._archive.has_market(market := self._exchange.markets[ticker])
        ]
        beside = [] if nest or leave_out else [render.market(self._exchange, each) for each in markets]
        body = render.event(self._exchange, state, with_markets=nest and not leave_out)
        return json_answer({"event": body, "markets": beside})

    async def _markets(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        found = self._filtered_markets(query)
        markets, cursor = page(found, query, default=100, high=1_000, newest_first=False)
        rendered = [render.market(self._exchange, each) for each in markets]
        return json_answer({"markets": rendered, "cursor": cursor})

    def _filtered_markets(self, query: Query) -> Iterator[MarketState]:
        status = query.choice("status", (*_STATUSES, *_NO_FILTERS))
        combos = query.choice("mve_filter", ("only", "exclude")) == "only"
        self._check_time_filters(query, status)
        tickers = query.names("tickers")
        event, series = query.text("event_ticker"), query.text("series_ticker")
        for state in self._exchange.markets.values():
            market = state.market
            if (
                not combos
                and not self._archive.has_market(state)
                and (not status or market.status in _STATUSES.get(status, ()))
                and (tickers is None or market.ticker in tickers)
                and event in ("", market.event_ticker)
                and series in ("", market.series_ticker)
                and query.covers("min_created_ts", "max_created_ts", state.created_ts)
                and query.covers("min_close_ts", "max_close_ts", market.close_time)
                and query.covers("min_settled_ts", "max_settled_ts", state.settled_ts)
                and query.covers("min_updated_ts", "max_updated_ts", state.updated_ts)
            ):
                yield state

    @staticmethod
    def _check_time_filters(query: Query, status: str) -> None:
        for kind, allowed in _TIME_FILTERS.items():
            for name in (f"min_{kind}_ts", f"max_{kind}_ts"):
                if query.has(name) and status not in allowed:
                    raise invalid_parameter(name, f"not compatible with status {status}")

    async def _market(self, request: web.Request) -> web.Response:
        return json_answer({"market": render.market(self._exchange, self._state(request))})

    async def _orderbook(self, request: web.Request) -> web.Response:
        depth = Query(request.query).number("depth", 0, 0, 100)
        return json_answer({"orderbook_fp": render.orderbook(self._state(request).book, depth)})

    async def _orderbooks(self, request: web.Request) -> web.Response:
        tickers = request.query.getall("tickers", [])
        if not 1 <= len(tickers) <= _MOST_BOOKS:
            raise invalid_parameter("tickers", f"expected 1 to {_MOST_BOOKS}")
        markets = self._exchange.markets
        books = [
            {"ticker": ticker, "orderbook_fp": render.orderbook(markets[ticker].book)}
            for ticker in tickers
            if ticker in markets
        ]
        return json_answer({"orderbooks": books})

    def _state(self, request: web.Request) -> MarketState:
        state = self._exchange.markets.get(request.match_info["ticker"])
        if state is None or self._archive.has_market(state):
            raise nested(404, "not_found")
        return state
