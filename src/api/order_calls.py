"""Changing orders: create, amend, decrease, cancel, one by one and in batches, and order groups.

Nothing here is sent twice unless the venue said 429. ``UnknownOutcomeError`` and ``WireError`` mean that it
may have happened: only the venue's records tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, TypeVar

from src.api import endpoints, schema_orders
from src.api.calls import Calls
from src.api.cancellation import cancel_later
from src.api.endpoints import Endpoint
from src.api.errors import NOT_SENT, ErrorBody, item_error
from src.api.query import query
from src.core.errors import DefiniteError, RetryableError, UnknownOutcomeError, VenueError, WireError
from src.core.units import Count, format_count

B = TypeVar("B")
A = TypeVar("A")

Created: TypeAlias = schema_orders.CreateOrderAnswer | VenueError
Canceled: TypeAlias = schema_orders.CancelOrderAnswer | VenueError


class OrderCalls(Calls):
    """Calls that change orders."""

    # --- one order -------------------------------------------------------------------------------

    async def create_order(self, body: schema_orders.CreateOrderBody) -> schema_orders.CreateOrderAnswer:
        """Send an order. ``CancelledError`` from here means that nothing was done.

        A reduce-only order spends the reserve of the rate budget and is repeated after a 429.
        """
        return await self._change(
            endpoints.CREATE_ORDER, schema_orders.CreateOrderAnswer, body, is_exit=body.reduce_only
        )

    async def amend_order(
        self, order_id: str, body: schema_orders.AmendOrderBody
    ) -> schema_orders.AmendOrderAnswer:
        """Change price, expiry or ``count``, which is what has filled plus what shall rest.

        A new price or a larger count goes to the back of the queue, and may fill at once.
        """
        return await self._change(
            endpoints.AMEND_ORDER, schema_orders.AmendOrderAnswer, body, order_id=order_id
        )

    async def decrease_order(
        self,
        order_id: str,
        ticker: str,
        exchange_index: int,
        *,
        reduce_by: Count | None = None,
        reduce_to: Count | None = None,
    ) -> schema_orders.DecreaseOrderAnswer:
        """Make an order smaller; it keeps its place in the queue. Exactly one of the two is given."""
        if (reduce_by is None) == (reduce_to is None):
            raise DefiniteError(
                "reduce_by and reduce_to: exactly one must be given; not sent", code="invalid_intent"
            )
        body = schema_orders.DecreaseOrderBody(
            market_ticker=ticker,
            exchange_index=exchange_index,
            reduce_by=None if reduce_by is None else format_count(reduce_by),
            reduce_to=None if reduce_to is None else format_count(reduce_to),
        )
        return await self._change(
            endpoints.DECREASE_ORDER, schema_orders.DecreaseOrderAnswer, body, order_id=order_id
        )

    async def cancel_order(
        self, order_id: str, ticker: str, exchange_index: int
    ) -> schema_orders.CancelOrderAnswer:
        """Cancel an order. Market and shard are given because an id alone is looked up on shard 0."""
        params = query(market_ticker=ticker, exchange_index=exchange_index)
        return await self._change(
            endpoints.CANCEL_ORDER, schema_orders.CancelOrderAnswer, params=params, order_id=order_id
        )

    async def cancel_all_orders(self) -> None:
        """Cancel whatever rests, on every shard. Orders sent within the next minute may be cancelled too."""
        await self._rest.request(endpoints.CANCEL_ALL_ORDERS)

    # --- batches ---------------------------------------------------------------------------------

    async def create_orders(self, bodies: Sequence[schema_orders.CreateOrderBody]) -> list[Created]:
        """Send orders in batches of what the rate budget holds. One outcome for each, in their order.

        An error among the outcomes is of that order alone: ``RetryableError`` says it was not sent or not
        taken, ``DefiniteError`` refused, ``UnknownOutcomeError`` that it may exist.
        """

        async def send(piece: Sequence[schema_orders.CreateOrderBody]) -> list[Created]:
            answer = await self._change(
                endpoints.CREATE_ORDERS,
                schema_orders.CreateOrdersAnswer,
                schema_orders.CreateOrdersBody(list(piece)),
                orders=len(piece),
                is_exit=is_exit,
            )
            _same_length(piece, answer.orders)
            return [_created(body, item) for body, item in zip(piece, answer.orders, strict=True)]

        is_exit = all(body.reduce_only for body in bodies)
        return await self._in_batches(endpoints.CREATE_ORDERS, bodies, send, is_exit=is_exit)

    async def cancel_orders(self, items: Sequence[schema_orders.CancelItemBody]) -> list[Canceled]:
        """Cancel orders in batches of what the rate budget holds. One outcome for each, in their order."""

        async def send(piece: Sequence[schema_orders.CancelItemBody]) -> list[Canceled]:
            answer = await self._change(
                endpoints.CANCEL_ORDERS,
                schema_orders.CancelOrdersAnswer,
                schema_orders.CancelOrdersBody(list(piece)),
                orders=len(piece),
            )
            _same_length(piece, answer.orders)
            return [_canceled(wanted, item) for wanted, item in zip(piece, answer.orders, strict=True)]

        return await self._in_batches(endpoints.CANCEL_ORDERS, items, send, is_exit=True)

    async def _in_batches(
        self,
        endpoint: Endpoint,
        wanted: Sequence[B],
        send: Callable[[Sequence[B]], Awaitable[list[A | VenueError]]],
        *,
        is_exit: bool,
    ) -> list[A | VenueError]:
        """The venue refuses a batch whole that its bucket cannot pay, so each is cut to what it holds."""
        outcomes: list[A | VenueError] = []
        while len(outcomes) < len(wanted):
            left = wanted[len(outcomes) :]
            piece = left[: self._rest.room(endpoint, is_exit=is_exit)]
            try:
                outcomes += await send(piece)
            except asyncio.CancelledError:
                cancel_later()
                return outcomes + [_not_sent("cancelled before it was sent")] * len(left)
            except WireError as error:
                outcomes += [UnknownOutcomeError(f"malformed answer: {error}", code="malformed")] * len(piece)
            except UnknownOutcomeError as error:
                outcomes += [error] * len(piece)
            except VenueError as error:
                outcomes += [error] * len(piece)
                rest = len(left) - len(piece)
                return outcomes + [_not_sent(f"after an order before it: {error}")] * rest
        return outcomes

    # --- order groups ----------------------------------------------------------------------------

    async def create_order_group(self, contracts_limit: Count, exchange_index: int = 0) -> str:
        """Make a group whose orders are cancelled when this many contracts trade in 15 s; returns its id."""
        body = schema_orders.CreateOrderGroupBody(format_count(contracts_limit), exchange_index)
        answer = await self._change(endpoints.CREATE_ORDER_GROUP, schema_orders.CreateOrderGroupAnswer, body)
        return answer.order_group_id

    async def reset_order_group(self, group_id: str, exchange_index: int = 0) -> None:
        """Let a triggered group take orders again."""
        await self._group(endpoints.RESET_ORDER_GROUP, group_id, exchange_index, {})

    async def trigger_order_group(self, group_id: str, exchange_index: int = 0) -> None:
        """Cancel the group's orders and refuse new ones until it is reset."""
        await self._group(endpoints.TRIGGER_ORDER_GROUP, group_id, exchange_index, {})

    async def limit_order_group(self, group_id: str, contracts_limit: Count, exchange_index: int = 0) -> None:
        """Change the group's limit; one already exceeded triggers it."""
        body = {"contracts_limit_fp": format_count(contracts_limit)}
        await self._group(endpoints.LIMIT_ORDER_GROUP, group_id, exchange_index, body)

    async def delete_order_group(self, group_id: str, exchange_index: int = 0) -> None:
        """Delete the group and cancel its orders."""
        await self._group(endpoints.DELETE_ORDER_GROUP, group_id, exchange_index, None)

    async def _group(
        self, endpoint: Endpoint, group_id: str, exchange_index: int, body: dict[str, str] | None
    ) -> None:
        params = query(exchange_index=exchange_index)
        await self._change(endpoint, dict, body, params, order_group_id=group_id)


def _same_length(wanted: Sequence[object], answered: Sequence[object]) -> None:
    if len(wanted) != len(answered):
        raise WireError("orders", len(answered), f"an answer for each of {len(wanted)} orders")


def _created(body: schema_orders.CreateOrderBody, item: schema_orders.CreatedItemBody) -> Created:
    if item.error is not None:
        return _refused(item.error)
    if item.client_order_id not in {None, "", body.client_order_id}:
        return UnknownOutcomeError(f"the answer is about another order, {item.client_order_id}")
    if not item.order_id or item.fill_count is None or item.remaining_count is None or item.ts_ms is None:
        return UnknownOutcomeError("the answer neither holds the order nor an error", code="malformed")
    return schema_orders.CreateOrderAnswer(
        item.order_id, item.fill_count, item.remaining_count, item.ts_ms, body.client_order_id
    )


def _canceled(wanted: schema_orders.CancelItemBody, item: schema_orders.CanceledItemBody) -> Canceled:
    if item.order_id != wanted.order_id:
        return UnknownOutcomeError(f"the answer is about order {item.order_id}")
    if item.error is not None:
        return _refused(item.error)
    if item.ts_ms is None:
        return UnknownOutcomeError("the answer has neither a time nor an error", code="malformed")
    return schema_orders.CancelOrderAnswer(item.order_id, item.reduced_by, item.ts_ms)


def _refused(error: schema_orders.ItemErrorBody) -> VenueError:
    return item_error(ErrorBody(error.code, error.message, error.details))


def _not_sent(why: str) -> RetryableError:
    return RetryableError(f"{why}; not sent", code=NOT_SENT)
