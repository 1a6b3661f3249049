"""The account: limits, costs, keys, cash, positions, orders, fills, settlements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from src.api import endpoints, schema, schema_account, schema_orders
from src.api.budget import RateBudget
from src.api.calls import PAGE, Calls
from src.api.query import query
from src.core.errors import WireError


class AccountCalls(Calls):
    """Reads of one account. Times in parameters are Unix seconds."""

    budget: RateBudget

    async def limits(self) -> schema.LimitsBody:
        """Read the account's rate limits and spend by them from now on."""
        limits = await self._get(endpoints.LIMITS, schema.LimitsBody)
        self.budget.learn(
            read_rate=limits.read.refill_rate,
            read_capacity=limits.read.bucket_capacity,
            write_rate=limits.write.refill_rate,
            write_capacity=limits.write.bucket_capacity,
        )
        return limits

    async def endpoint_costs(self) -> schema_orders.EndpointCostsAnswer:
        """Read what calls cost and spend by it from now on, in place of the costs known here."""
        answer = await self._get(endpoints.ENDPOINT_COSTS, schema_orders.EndpointCostsAnswer)
        costs = [(each.method, each.path, each.cost) for each in answer.endpoint_costs]
        for name, cost in (("default_cost", answer.default_cost), *((path, cost) for _, path, cost in costs)):
            if cost < 0:
                raise WireError(f"endpoint_costs.{name}", cost, "tokens, not below zero")
        self.budget.learn_costs(answer.default_cost, costs)
        return answer

    async def api_keys(self) -> schema_orders.ApiKeysAnswer:
        """The account's keys with their scopes (``key_check`` judges them)."""
        return await self._get(endpoints.API_KEYS, schema_orders.ApiKeysAnswer)

    async def balance(self) -> schema_account.BalanceBody:
        """Cash of the account (at most one call a second, the budget waits)."""
        return await self._get(endpoints.BALANCE, schema_account.BalanceBody)

    async def positions(
        self,
        *,
        settlement_status: Literal["unsettled", "settled", "all"] = "unsettled",
        ticker: str = "",
        event_ticker: str = "",
    ) -> list[schema_account.PositionBody]:
        """Positions; by default every one that is not settled yet."""
        params = query(
            settlement_status=settlement_status, ticker=ticker, event_ticker=event_ticker, limit=PAGE
        )
        pages = self._pages(endpoints.POSITIONS, schema_account.PositionsPage, params)
        return [position async for page in pages for position in page.market_positions]

    async def orders(
        self,
        *,
        status: str = "",
        ticker: str = "",
        event_ticker: str = "",
        min_ts: int | None = None,
        max_ts: int | None = None,
    ) -> list[schema_account.OrderBody]:
        """Orders. ``status``: "", resting, canceled or executed."""
        params = query(
            status=status, ticker=ticker, event_ticker=event_ticker, min_ts=min_ts, max_ts=max_ts, limit=PAGE
        )
        pages = self._pages(endpoints.ORDERS, schema_account.OrdersPage, params)
        return [order async for page in pages for order in page.orders]

    async def order(self, order_id: str) -> schema_account.OrderBody:
        """One order by the venue's id."""
        return (await self._get(endpoints.ORDER, schema_account.OrderAnswer, order_id=order_id)).order

    async def queue_positions(
        self, *, tickers: Iterable[str] = (), event_ticker: str = ""
    ) -> list[schema_orders.QueuePositionBody]:
        """For our resting orders, how many contracts must trade before each does."""
        params = query(market_tickers=",".join(tickers), event_ticker=event_ticker)
        answer = await self._get(endpoints.QUEUE_POSITIONS, schema_orders.QueuePositionsAnswer, params)
        return answer.queue_positions

    async def queue_position(self, order_id: str) -> str:
        """How many contracts must trade before this order does (a decimal string)."""
        answer = await self._get(
            endpoints.QUEUE_POSITION, schema_orders.QueuePositionAnswer, order_id=order_id
        )
        return answer.queue_position_fp

    async def fills(
        self, *, ticker: str = "", order_id: str = "", min_ts: int | None = None, max_ts: int | None = None
    ) -> list[schema_account.FillBody]:
        """Our fills."""
        params = query(ticker=ticker, order_id=order_id, min_ts=min_ts, max_ts=max_ts, limit=PAGE)
        pages = self._pages(endpoints.FILLS, schema_account.FillsPage, params)
        return [fill async for page in pages for fill in page.fills]

    async def settlements(
        self,
        *,
        ticker: str = "",
        event_ticker: str = "",
        min_ts: int | None = None,
        max_ts: int | None = None,
    ) -> list[schema_account.SettlementBody]:
        """Settled markets that were held."""
        params = query(ticker=ticker, event_ticker=event_ticker, min_ts=min_ts, max_ts=max_ts, limit=PAGE)
        pages = self._pages(endpoints.SETTLEMENTS, schema_account.SettlementsPage, params)
        return [settlement async for page in pages for settlement in page.settlements]

    async def order_groups(self) -> list[schema_orders.OrderGroupBody]:
        """Every order group."""
        return (await self._get(endpoints.ORDER_GROUPS, schema_orders.OrderGroupsAnswer)).order_groups or []

    async def order_group(self, group_id: str) -> schema_orders.OrderGroupAnswer:
        """One order group with the ids of its orders."""
        return await self._get(endpoints.ORDER_GROUP, schema_orders.OrderGroupAnswer, order_group_id=group_id)
