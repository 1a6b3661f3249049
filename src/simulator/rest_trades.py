"""Public REST: trades and markets of the historical tier, and the live trades."""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp import web

from src.simulator import render
from src.simulator.answers import API, json_answer
from src.simulator.archive import Archive
from src.simulator.exchange import Exchange
from src.simulator.queries import Query, page
from src.simulator.records import Trade
from src.simulator.states import MarketState
from src.simulator.wire_errors import invalid_parameter, nested


class TradesApi:
    """Handlers of public trades, live and historical, and of historical markets."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._archive = Archive(exchange)

    def routes(self) -> list[web.RouteDef]:
        """The routes of this part of the API."""
        return [
            web.get(f"{API}/markets/trades", self._live_trades),
            web.get(f"{API}/historical/trades", self._archived_trades),
            web.get(f"{API}/historical/cutoff", self._cutoff),
            web.get(f"{API}/historical/markets", self._markets),
            web.get(f"{API}/historical/markets/{{ticker}}", self._market),
        ]

    async def _cutoff(self, request: web.Request) -> web.Response:
        cutoff = render.rfc3339(self._archive.cutoff)
        names = ("market_settled_ts", "trades_created_ts", "orders_updated_ts")
        return json_answer(dict.fromkeys((*names, "market_positions_last_updated_ts"), cutoff))

    async def _live_trades(self, request: web.Request) -> web.Response:
        return self._trades(request, archived=False)

    async def _archived_trades(self, request: web.Request) -> web.Response:
        return self._trades(request, archived=True)

    def _trades(self, request: web.Request, *, archived: bool) -> web.Response:
        query = Query(request.query)
        found = (each for each in self._filtered_trades(query) if self._archive.has_record(each) is archived)
        trades, cursor = page(found, query, default=100, high=1_000, newest_first=True)
        return json_answer({"trades": [render.trade(each) for each in trades], "cursor": cursor})

    def _filtered_trades(self, query: Query) -> Iterator[Trade]:
        if query.flag("is_block_trade"):
            return
        ticker = query.text("ticker")
        if ticker:
            state = self._exchange.markets.get(ticker)
            trades = list(state.trades) if state else []
        else:
            kept = (trade for state in self._exchange.markets.values() for trade in state.trades)
            trades = sorted(kept, key=lambda trade: trade.ordinal)
        for trade in reversed(trades):
            if query.covers("min_ts", "max_ts", trade.ts):
                yield trade

    async def _markets(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        tickers = query.names("tickers")
        event, series = query.text("event_ticker"), query.text("series_ticker")
        if sum((tickers is not None, bool(event), bool(series))) > 1:
            raise invalid_parameter("tickers", "tickers, event_ticker and series_ticker exclude each other")

        def wanted(state: MarketState) -> bool:
            market = state.market
            return (
                self._archive.has_market(state)
                and (tickers is None or market.ticker in tickers)
                and event in ("", market.event_ticker)
                and series in ("", market.series_ticker)
            )

        found = (state for state in self._exchange.markets.values() if wanted(state))
        markets, cursor = page(found, query, default=100, high=1_000, newest_first=False)
        rendered = [render.market(self._exchange, each) for each in markets]
        return json_answer({"markets": rendered, "cursor": cursor})

    async def _market(self, request: web.Request) -> web.Response:
        state = self._exchange.markets.get(request.match_info["ticker"])
        if state is None or not self._archive.has_market(state):
            raise nested(404, "not_found")
        return json_answer({"market": render.market(self._exchange, state)})
