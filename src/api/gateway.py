"""Order entry and the account's records, as ``core.ports.OrderGateway``."""

from __future__ import annotations

import asyncio

from src.api.cancellation import cancel_later
from src.api.client import KalshiClient
from src.api.convert import (
    nanos,
    plain_count,
    to_balance,
    to_fill,
    to_order_update,
    to_position,
    to_settlement,
    to_shards,
)
from src.api.errors import NOT_FOUND, NOT_SENT, ORDER_EXISTS
from src.api.order_body import amend_body, order_body
from src.core.actions import AmendOrder, CancelOrder
from src.core.errors import (
    DefiniteError,
    FatalError,
    RetryableError,
    UnknownOutcomeError,
    VenueError,
    WireError,
)
from src.core.events import (
    AccountReport,
    AmendAnswered,
    CancelAnswered,
    OrderAccepted,
    OrderRejected,
    OrderUnknown,
    OrderUpdate,
)
from src.core.ports import ApprovedOrder, Clock
from src.core.units import MILLISECOND, SECOND, Count, Nanos


class KalshiGateway:
    """Sends each order and each cancel at most once and says what is known of it afterwards."""

    def __init__(self, client: KalshiClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def aclose(self) -> None:
        """Close the client's connections."""
        await self._client.aclose()

    async def submit(self, approved: ApprovedOrder) -> OrderAccepted | OrderRejected | OrderUnknown:
        """Send once. Rejected means that the order does not exist; anything unclear is unknown.

        Rejection codes of our own: ``not_sent`` (no connection, or no rate budget in time) and
        ``invalid_intent``. A caller that is cancelled after the order began to leave still gets the
        outcome; the cancellation follows at its next await. The call bounds its own time (about 13 s),
        so it must not be wrapped in another time limit.
        """
        wanted = approved.intent.client_order_id
        try:
            answer = await self._client.create_order(order_body(approved.intent))
            if answer.client_order_id not in {"", wanted}:
                raise UnknownOutcomeError(f"the answer is about another order, {answer.client_order_id}")
            return OrderAccepted(
                client_order_id=wanted,
                order_id=answer.order_id,
                filled=plain_count(answer.fill_count, "create order answer.fill_count"),
                remaining=plain_count(answer.remaining_count, "create order answer.remaining_count"),
                ts_event=answer.ts_ms * MILLISECOND,
                ts_recv=self._clock.now(),
            )
        except asyncio.CancelledError:
            cancel_later()
            return OrderRejected(wanted, NOT_SENT, "cancelled before it was sent", self._clock.now())
        except (DefiniteError, RetryableError, FatalError) as error:
            is_fatal = isinstance(error, FatalError)
            return OrderRejected(wanted, error.code, str(error), self._clock.now(), fatal=is_fatal)
        except UnknownOutcomeError as error:
            reason = "exists" if error.code == ORDER_EXISTS else str(error)
            return OrderUnknown(wanted, reason, self._clock.now())
        except WireError as error:
            return OrderUnknown(wanted, f"malformed answer: {error}", self._clock.now())

    async def cancel(self, order: CancelOrder) -> CancelAnswered:
        """Cancel once. "not_found" proves nothing: canceled, executed and unknown orders answer alike."""
        if not order.order_id:
            return self._answered(order, "failed", "the venue's order id is not known yet")
        try:
            answer = await self._client.cancel_order(order.order_id, order.ticker, order.exchange_index)
            if answer.order_id != order.order_id:
                return self._answered(order, "failed", f"the answer is about order {answer.order_id}")
            reduced_by = plain_count(answer.reduced_by, "cancel order answer.reduced_by")
            return self._answered(order, "canceled", f"reduced by {answer.reduced_by}", reduced_by)
        except asyncio.CancelledError:
            cancel_later()
            return self._answered(order, "failed", "cancelled before it was sent")
        except VenueError as error:
            outcome = "not_found" if error.status == 404 and error.code == NOT_FOUND else "failed"
            return self._answered(order, outcome, str(error))
        except WireError as error:
            return self._answered(order, "failed", f"malformed answer: {error}")

    async def amend(self, order: AmendOrder) -> AmendAnswered:
        """Amend once. "failed" proves nothing: the answer may be lost, or the order over by now."""
        try:
            answer = await self._client.amend_order(order.order_id, amend_body(order))
            if answer.order_id != order.order_id:
                return self._amended(order, "failed", f"the answer is about order {answer.order_id}")
            return self._amended(order, "amended", "", answer.ts_ms * MILLISECOND)
        except asyncio.CancelledError:
            cancel_later()
            return self._amended(order, "failed", "cancelled before it was sent")
        except VenueError as error:
            return self._amended(order, "failed", str(error))
        except WireError as error:
            return self._amended(order, "failed", f"malformed answer: {error}")

    async def report(self, since: Nanos) -> AccountReport:
        """Read orders, fills, settlements, positions and balance, in this order.

        Orders come before fills, so that what an order says it filled is among the fills. The venue's
        freshness stamp is read first: nothing in the report is older than it. Raises ``VenueError``.

        The venue does not say whether its ``min_ts`` looks at an order's creation or last change: a caller
        that must learn the end of an order passes a ``since`` before that order's creation.
        """
        started = self._clock.now()
        min_ts = since // SECOND if since > 0 else None
        client = self._client
        try:
            as_of = nanos((await client.user_data_timestamp()).as_of_time)
            listed = [*await client.orders(min_ts=min_ts)]
            if min_ts is not None:
                listed += await client.orders(status="resting")
            fills = await client.fills(min_ts=min_ts)
            settlements = await client.settlements(min_ts=min_ts)
            positions = await client.positions()
            balance = await client.balance()
            now = self._clock.now()
            return AccountReport(
                orders=_latest([to_order_update(order, now) for order in listed]),
                fills=tuple(to_fill(fill, now) for fill in fills),
                settlements=tuple(to_settlement(settlement, now) for settlement in settlements),
                positions=tuple(to_position(position) for position in positions),
                balance=to_balance(balance),
                started_ts=started,
                as_of=as_of,
                ts_recv=now,
                shards=to_shards(balance),
                at_once=now == started,  # in a world whose time stands still meanwhile
            )
        except WireError as error:
            raise DefiniteError(f"account report: {error}", code="malformed") from error

    def _amended(self, order: AmendOrder, outcome: str, detail: str, ts_event: Nanos = 0) -> AmendAnswered:
        now = self._clock.now()
        return AmendAnswered(
            order.client_order_id, outcome, order.count, order.expiration_ts, detail, ts_event, now
        )

    def _answered(
        self, order: CancelOrder, outcome: str, detail: str, reduced_by: Count | None = None
    ) -> CancelAnswered:
        return CancelAnswered(order.client_order_id, outcome, detail, self._clock.now(), reduced_by)


def _latest(updates: list[OrderUpdate]) -> tuple[OrderUpdate, ...]:
    """One update per order: the newest, and of equals the one read last."""
    newest: dict[str, OrderUpdate] = {}
    for update in updates:
        known = newest.get(update.order_id)
        if known is None or update.updated_ts >= known.updated_ts:
            newest[update.order_id] = update
    return tuple(newest.values())
