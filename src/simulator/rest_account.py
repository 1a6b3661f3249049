"""Authenticated REST reads: limits, balance, positions, fills, orders, settlements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from aiohttp import web

from src.simulator import render_account
from src.simulator.account import Account
from src.simulator.answers import API, KEY_ID, json_answer
from src.simulator.exchange import Exchange
from src.simulator.queries import Query, page
from src.simulator.ratelimit import CANCEL_COST, DEFAULT_COST, GET_ORDER_COST, RateLimits
from src.simulator.records import Position, VenueFill, VenueOrder
from src.simulator.wire_errors import nested

_MOST = 1_000
_DEFAULT = 100


class AccountApi:
    """Handlers that read the asking key's own account."""

    def __init__(self, exchange: Exchange, limits: RateLimits) -> None:
        self._exchange = exchange
        self._limits = limits

    def routes(self) -> list[web.RouteDef]:
        """The routes of this part of the API."""
        return [
            web.get(f"{API}/account/limits", self._account_limits),
            web.get(f"{API}/account/endpoint_costs", self._endpoint_costs),
            web.get(f"{API}/portfolio/balance", self._balance),
            web.get(f"{API}/portfolio/positions", self._positions),
            web.get(f"{API}/portfolio/fills", self._fills),
            web.get(f"{API}/portfolio/orders", self._orders),
            web.get(f"{API}/portfolio/orders/{{order_id}}", self._order),
            web.get(f"{API}/portfolio/settlements", self._settlements),
        ]

    def _account(self, request: web.Request) -> Account:
        return self._exchange.account(request[KEY_ID])

    async def _account_limits(self, request: web.Request) -> web.Response:
        limits = self._limits
        read = {"refill_rate": limits.read_refill, "bucket_capacity": limits.read_capacity}
        write = {"refill_rate": limits.write_refill, "bucket_capacity": limits.write_capacity}
        return json_answer({"usage_tier": limits.tier, "read": read, "write": write, "grants": []})

    async def _endpoint_costs(self, request: web.Request) -> web.Response:
        costs = [
            {"method": "DELETE", "path": f"{API}/portfolio/events/orders", "cost": CANCEL_COST},
            {"method": "DELETE", "path": f"{API}/portfolio/events/orders/:order_id", "cost": CANCEL_COST},
            {"method": "GET", "path": f"{API}/portfolio/orders/:order_id", "cost": GET_ORDER_COST},
        ]
        return json_answer({"default_cost": DEFAULT_COST, "endpoint_costs": costs})

    async def _balance(self, request: web.Request) -> web.Response:
        return json_answer(render_account.balance(self._exchange, self._account(request)))

    async def _positions(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        settled = query.choice("settlement_status", ("unsettled", "settled", "all")) or "unsettled"
        counted = query.names("count_filter") or frozenset()
        ticker, event = query.text("ticker"), query.text("event_ticker")

        def wanted(held: Position) -> bool:
            return (
                settled in ("all", "settled" if held.settled else "unsettled")
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
        tickers, order_id = query.names("ticker"), query.text("order_id")

        def wanted(made: VenueFill) -> bool:
            return (
                (tickers is None or made.ticker in tickers)
                and order_id in ("", made.order_id)
                and query.covers("min_ts", "max_ts", made.ts)
            )

        found = (made for made in reversed(self._account(request).fills) if wanted(made))
        fills, cursor = page(found, query, default=_DEFAULT, high=_MOST, newest_first=True)
        return json_answer({"fills": [render_account.fill(each) for each in fills], "cursor": cursor})

    async def _orders(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        found = self._filtered_orders(self._account(request), query)
        orders, cursor = page(found, query, default=_DEFAULT, high=_MOST, newest_first=True)
        return json_answer({"orders": [render_account.order(each) for each in orders], "cursor": cursor})

    def _filtered_orders(self, account: Account, query: Query) -> Iterator[VenueOrder]:
        status = query.choice("status", ("resting", "canceled", "executed"))
        tickers, events = query.names("ticker"), query.names("event_ticker")
        source = account.open_orders if status == "resting" else account.orders
        for held in sorted(source.values(), key=lambda each: -each.ordinal):
            market = self._exchange.markets[held.ticker].market
            if (
                status in ("", held.status.value)
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
