"""Authenticated REST reads: keys, limits, balance, positions, fills, orders, queue positions, settlements.

Fills, orders and positions have a live and a historical listing, told apart by the ``Archive``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from aiohttp import web

from src.core.units import format_count
from src.simulator import render_account
from src.simulator.answers import API, KEY_ID, json_answer
from src.simulator.archive import Archive
from src.simulator.exchange import Exchange
from src.simulator.queries import Query, page
from src.simulator.ratelimit import DEFAULT_COST, ENDPOINT_COSTS, RateLimits
from src.simulator.records import Position, VenueFill, VenueOrder
from src.simulator.views import AccountRecords, AccountViews
from src.simulator.wire_errors import nested

_MOST = 1_000
_DEFAULT = 100
_MOST_SHARDS = 100


class AccountApi:
    """Handlers that read the asking key's own account."""

    def __init__(self, exchange: Exchange, views: AccountViews, limits: RateLimits) -> None:
        self._exchange = exchange
        self._views = views
        self._archive = Archive(exchange)
        self._limits = limits

    def routes(self) -> list[web.RouteDef]:
        """The routes of this part of the API."""
        return [
            web.get(f"{API}/api_keys", self._api_keys),
            web.get(f"{API}/account/limits", self._account_limits),
            web.get(f"{API}/account/endpoint_costs", self._endpoint_costs),
            web.get(f"{API}/portfolio/balance", self._balance),
            web.get(f"{API}/portfolio/subaccounts/balances", self._subaccount_balances),
            web.get(f"{API}/portfolio/positions", self._positions),
            web.get(f"{API}/portfolio/fills", self._fills),
            web.get(f"{API}/portfolio/orders", self._orders),
            web.get(f"{API}/portfolio/orders/queue_positions", self._queue_positions),
            web.get(f"{API}/portfolio/orders/{{order_id}}", self._order),
            web.get(f"{API}/portfolio/orders/{{order_id}}/queue_position", self._queue_position),
            web.get(f"{API}/portfolio/settlements", self._settlements),
            web.get(f"{API}/historical/positions", self._positions),
            web.get(f"{API}/historical/fills", self._fills),
            web.get(f"{API}/historical/orders", self._orders),
        ]

    def _account(self, request: web.Request) -> AccountRecords:
        return self._views.of(request[KEY_ID])

    async def _api_keys(self, request: web.Request) -> web.Response:
        key = {"api_key_id": request[KEY_ID], "name": request[KEY_ID], "scopes": ["read", "write"]}
        return json_answer({"api_keys": [key]})

    async def _account_limits(self, request: web.Request) -> web.Response:
        limits = self._limits
        read = {"refill_rate": limits.read_refill, "bucket_capacity": limits.read_capacity}
        write = {"refill_rate": limits.write_refill, "bucket_capacity": limits.write_capacity}
        return json_answer({"usage_tier": limits.tier, "read": read, "write": write, "grants": []})

    async def _endpoint_costs(self, request: web.Request) -> web.Response:
        costs = [
            {"method": method, "path": f"{API}{path}", "cost": cost}
            for (method, path), cost in ENDPOINT_COSTS.items()
        ]
        return json_answer({"default_cost": DEFAULT_COST, "endpoint_costs": costs})

    async def _balance(self, request: web.Request) -> web.Response:
        shard = _shard(Query(request.query))
        return json_answer(render_account.balance(self._exchange, self._account(request), shard))

    async def _subaccount_balances(self, request: web.Request) -> web.Response:
        return json_answer(render_account.subaccount_balances(self._exchange, self._account(request)))

    async def _positions(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        settled = query.choice("settlement_status", ("unsettled", "settled", "all")) or "unsettled"
        counted = query.names("count_filter") or frozenset()
        ticker, event, shard = query.text("ticker"), query.text("event_ticker"), _shard(query)
        archived = _is_historical(request)
        if archived:
            settled = "all"

        def wanted(held: Position) -> bool:
            return (
                self._archive.has_position(held) is archived
                and shard in (None, held.exchange_index)
                and settled in ("all", "settled" if held.settled else "unsettled")
                and ("position" not in counted or held.count != 0)
                and ("total_traded" not in counted or held.traded != 0)
                and ticker in ("", held.ticker)
                and event in ("", held.event_ticker)
            )

        found = (held for held in self._account(request).positions.values() if wanted(held))
        positions, cursor = page(found, query, default=_DEFAULT, high=_MOST, newest_first=False)
        by_event: dict[str, list[Position]] = defaultdict(list)
        for held in positions:
            by_event[held.event_ticker].append(held)
        return json_answer(
            {
                "market_positions": [render_account.position(each) for each in positions],
                "event_positions": [
                    render_account.event_position(name, held) for name, held in by_event.items()
                ],
                "cursor": cursor,
            }
        )

    async def _fills(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        tickers, order_id, shard = query.names("ticker"), query.text("order_id"), _shard(query)
        archived = _is_historical(request)

        def wanted(made: VenueFill) -> bool:
            return (
                self._archive.has_record(made) is archived
                and shard in (None, made.exchange_index)
                and (tickers is None or made.ticker in tickers)
                and order_id in ("", made.order_id)
                and query.covers("min_ts", "max_ts", made.ts)
            )

        found = (made for made in reversed(self._account(request).fills) if wanted(made))
        fills, cursor = page(found, query, default=_DEFAULT, high=_MOST, newest_first=True)
        return json_answer({"fills": [render_account.fill(each) for each in fills], "cursor": cursor})

    async def _orders(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        account, archived = self._account(request), _is_historical(request)
        filtered = self._filtered_orders(account, query)
        found = (each for each in filtered if self._archive.has_order(each) is archived)
        orders, cursor = page(found, query, default=_DEFAULT, high=_MOST, newest_first=True)
        return json_answer({"orders": [render_account.order(each) for each in orders], "cursor": cursor})

    def _filtered_orders(self, account: AccountRecords, query: Query) -> Iterator[VenueOrder]:
        status = query.choice("status", ("resting", "canceled", "executed"))
        tickers, events, shard = query.names("ticker"), query.names("event_ticker"), _shard(query)
        source = account.open_orders if status == "resting" else account.orders
        for held in sorted(source.values(), key=lambda each: -each.ordinal):
            market = self._exchange.markets[held.ticker].market
            if (
                status in ("", held.status.value)
                and shard in (None, held.exchange_index)
                and (tickers is None or held.ticker in tickers)
                and (events is None or market.event_ticker in events)
                and query.covers("min_ts", "max_ts", held.created_ts)
            ):
                yield held

    async def _order(self, request: web.Request) -> web.Response:
        held = self._account(request).orders.get(request.match_info["order_id"])
        if held is None:
            raise nested(404, "not_found")
        return json_answer({"order": render_account.order(held)})

    async def _queue_positions(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        tickers, event = query.names("market_tickers"), query.text("event_ticker")
        listed = [
            {
                "order_id": held.order_id,
                "market_ticker": held.ticker,
                "queue_position_fp": format_count(self._exchange.queue_position(held)),
            }
            for held in self._exchange.account(request[KEY_ID]).open_orders.values()
            if (tickers is None or held.ticker in tickers)
            and event in ("", self._exchange.markets[held.ticker].market.event_ticker)
        ]
        return json_answer({"queue_positions": listed})

    async def _queue_position(self, request: web.Request) -> web.Response:
        # Queue positions come from the engine itself: they do not lag.
        held = self._exchange.account(request[KEY_ID]).open_orders.get(request.match_info["order_id"])
        if held is None:
            raise nested(404, "not_found")
        return json_answer({"queue_position_fp": format_count(self._exchange.queue_position(held))})

    async def _settlements(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        ticker, event = query.text("ticker"), query.text("event_ticker")
        found = (
            paid
            for paid in reversed(self._account(request).settlements)
            if ticker in ("", paid.ticker)
            and event in ("", paid.event_ticker)
            and query.covers("min_ts", "max_ts", paid.ts)
        )
        settlements, cursor = page(found, query, default=_DEFAULT, high=_MOST, newest_first=True)
        rendered = [render_account.settlement(each) for each in settlements]
        return json_answer({"settlements": rendered, "cursor": cursor})


def _is_historical(request: web.Request) -> bool:
    return request.path.startswith(f"{API}/historical")


def _shard(query: Query) -> int | None:
    return query.number("exchange_index", 0, 0, _MOST_SHARDS) if query.has("exchange_index") else None
