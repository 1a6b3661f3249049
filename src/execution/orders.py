"""All orders of the ledger: how the venue's words about them change what we know and what is reserved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from src.core.actions import OrderStatus, StoredOrder
from src.core.events import AmendAnswered, Fill, OrderUpdate, VenueOrderStatus
from src.core.fees import FeeSchedule
from src.core.ports import ApprovedOrder
from src.core.sides import BookSide
from src.core.signal import OrderIntent, Purpose, TimeInForce
from src.core.units import Cash, Count, Nanos, Price
from src.execution.order_state import LIVE, TERMINAL, TRANSITIONS, Order, S, status_of, worst_case_cost


class OrderRegister:
    """All orders of this ledger, found by our id or the venue's."""

    def __init__(self) -> None:
        self._by_client: dict[str, Order] = {}
        self._by_venue: dict[str, Order] = {}
        self._live: dict[str, Order] = {}

    def __iter__(self) -> Iterator[Order]:
        return iter(self._by_client.values())

    def live(self) -> Iterable[Order]:
        """Orders that reserve money: live ones, and ended ones whose fills have not all come."""
        return tuple(self._live.values())

    @property
    def any_live(self) -> bool:
        """Whether there is one of ``live``."""
        return bool(self._live)

    def get(self, client_order_id: str, order_id: str = "") -> Order | None:
        """Find by either id. The venue's id wins: REST fills carry no client id."""
        found = self._by_venue.get(order_id) if order_id else None
        return found or (self._by_client.get(client_order_id) if client_order_id else None)

    def reserved(self, exchange_index: int | None = None) -> Cash:
        """Worst-case cost of everything not accounted for, optionally of one shard."""
        return sum(
            order.reserved
            for order in self._live.values()
            if exchange_index is None or order.intent.exchange_index == exchange_index
        )

    def resting_at(self, ticker: str, side: BookSide) -> dict[Price, Count]:
        """Size of this account's own orders in one side of a market's book, by YES price."""
        sizes: dict[Price, Count] = {}
        for order in self._live.values():
            intent = order.intent
            if intent.ticker == ticker and intent.side is side and order.rests:
                sizes[intent.price] = sizes.get(intent.price, 0) + order.remaining
        return sizes

    def open_new(self, approved: ApprovedOrder, fees: FeeSchedule, ts: Nanos) -> Order:
        """Record an approved intent before it is sent."""
        order = Order(approved.intent, S.PENDING_NEW, reserved=approved.reserved, fees=fees)
        order.updated_ts = order.changed_ts = ts
        return self._add(order)

    def restore(self, stored: StoredOrder, filled: Count, fees: FeeSchedule, ts: Nanos) -> Order:
        """Bring an order back after a restart: whatever was live is UNKNOWN, reserved in full."""
        status = S.UNKNOWN if stored.status in LIVE else stored.status
        order = Order(
            stored.intent, status, stored.order_id, filled=filled, external=stored.external, fees=fees
        )
        order.venue_filled = max(stored.filled, filled)
        order.updated_ts = order.changed_ts = ts
        self._reserve(order)
        return self._add(order)

    def adopt(self, update: OrderUpdate, filled: Count, event_ticker: str, fees: FeeSchedule) -> Order:
        """Take in an order that is not ours (placed by hand or by another program) as EXTERNAL.

        ``filled``: its contracts that were booked before the order itself was heard of.
        """
        intent = OrderIntent(
            client_order_id=update.client_order_id or f"external:{update.order_id}",
            signal_id=f"external:{update.order_id}",
            strategy="external",
            ticker=update.ticker,
            event_ticker=event_ticker,
            side=update.side,
            price=update.price,
            count=update.count,
            time_in_force=TimeInForce.GOOD_TILL_CANCELED,
            purpose=Purpose.ENTRY,
            created_ts=update.updated_ts,
            trace_id=f"external:{update.order_id}",
        )
        order = Order(intent, S.UNKNOWN, update.order_id, filled=filled, external=True, fees=fees)
        self._add(order)
        self.apply_update(order, update)
        return order

    def accept(self, order: Order, order_id: str, filled: Count, remaining: Count, ts: Nanos) -> bool:
        """Apply the answer to our create call. False when later news already says more."""
        self._bind(order, order_id)
        order.venue_filled = max(order.venue_filled, filled, order.filled)
        if order.status not in {S.PENDING_NEW, S.UNKNOWN}:
            self._reserve(order)
            return False
        self.move(order, status_of(order, remaining, canceled=remaining == 0), ts)
        return True

    def apply_update(self, order: Order, update: OrderUpdate) -> bool:
        """Apply the venue's view of an order, ignoring one older than what is already known."""
        self._bind(order, update.order_id)
        order.misses = 0
        if update.updated_ts < order.venue_ts and order.status not in {S.UNKNOWN, S.PENDING_NEW}:
            return False
        before = (order.status, order.venue_filled, order.intent)
        if update.updated_ts >= order.venue_ts:
            self._follow_terms(order, update)
        order.venue_ts = max(order.venue_ts, update.updated_ts)
        order.venue_filled = max(order.venue_filled, update.filled)
        if update.status is VenueOrderStatus.CANCELED:
            # Final, and told by the records: what we made of a cancel's answer gives way to it.
            order.venue_filled = max(update.filled, order.filled)
        if update.status is not VenueOrderStatus.UNKNOWN:
            canceled = update.status is VenueOrderStatus.CANCELED
            target = status_of(order, update.remaining, canceled=canceled)
            if canceled and "Expiry" in update.reason and target is S.CANCELED:
                target = S.EXPIRED
            # A listing gives no reason, so an expiry looks like a cancellation there: an end is an end.
            enlarged = (
                order.status is S.EXECUTED
                and order.intent.time_in_force is TimeInForce.GOOD_TILL_CANCELED
                and target is S.PARTIALLY_FILLED
                and update.filled + update.remaining > order.filled
            )
            regresses = order.status in TERMINAL - {S.REJECTED} and target is not S.EXECUTED and not enlarged
            waiting = order.status is S.PENDING_CANCEL and target in LIVE
            if not (regresses or waiting):
                order.reason = update.reason or order.reason
                self.move(order, target, update.ts_recv)
        self._reserve(order)
        return before != (order.status, order.venue_filled, order.intent)

    def canceled(self, order: Order, reduced_by: Count | None, ts: Nanos) -> None:
        """The venue took out what was left: whatever it did not take out has filled, told or not."""
        if reduced_by is not None:
            order.venue_filled = max(order.venue_filled, order.intent.count - reduced_by)
        self.move(order, S.CANCELED, ts, order.reason or "canceled")

    def amended(self, order: Order, answer: AmendAnswered) -> None:
        """The venue took our amendment: the order's size and expiry are new, its place is the old one."""
        order.amend_sent = None
        if not order.is_live:
            return
        order.intent = replace(order.intent, expiration_ts=answer.expiration_ts)
        if answer.ts_event < order.venue_ts:
            return  # later news has told the size already
        order.venue_ts = answer.ts_event
        count = max(answer.count, order.filled)
        order.intent = replace(order.intent, count=count)
        if order.filled == count and order.status is not S.EXECUTED:
            self.move(order, S.EXECUTED, answer.ts_recv)
        self._reserve(order)

    @staticmethod
    def _follow_terms(order: Order, update: OrderUpdate) -> None:
        """Size and price are the venue's: an order may be amended by us, or by the owner's own hand."""
        if order.intent.time_in_force is not TimeInForce.GOOD_TILL_CANCELED:
            return
        if update.status is VenueOrderStatus.RESTING and update.remaining:
            count = max(update.filled + update.remaining, order.filled)
            if (count, update.price) != (order.intent.count, order.intent.price):
                order.intent = replace(order.intent, count=count, price=update.price)
        elif update.filled > order.intent.count:
            order.intent = replace(order.intent, count=update.filled)

    def apply_fill(self, order: Order, fill: Fill) -> None:
        """Count a fill (already known to be new) towards its order."""
        self._bind(order, fill.order_id)
        order.filled += fill.count
        order.venue_filled = max(order.venue_filled, order.filled)
        if order.filled > order.intent.count:
            if order.intent.time_in_force is not TimeInForce.GOOD_TILL_CANCELED:
                raise AssertionError(f"order {order.intent.client_order_id} filled beyond its size")
            # Made larger by hand, and the news of it is still under way.
            order.intent = replace(order.intent, count=order.filled)
        if order.filled == order.intent.count and order.status is not S.EXECUTED:
            self.move(order, S.EXECUTED, fill.ts_recv)
        elif order.status is S.RESTING:
            self.move(order, S.PARTIALLY_FILLED, fill.ts_recv)
        self._reserve(order)

    def move(self, order: Order, status: OrderStatus, ts: Nanos, reason: str = "") -> None:
        """Change an order's status by the table. Staying where it is is always allowed."""
        if status is not order.status:
            if status not in TRANSITIONS[order.status]:
                raise AssertionError(
                    f"order {order.intent.client_order_id}: "
                    f"{order.status.value} -> {status.value} is no transition"
                )
            order.status = status
            order.changed_ts = ts
        order.reason = reason or order.reason
        order.updated_ts = max(order.updated_ts, ts)
        self._reserve(order)

    def _bind(self, order: Order, order_id: str) -> None:
        if order_id and not order.order_id:
            order.order_id = order_id
            self._by_venue[order_id] = order

    def _add(self, order: Order) -> Order:
        if order.intent.client_order_id in self._by_client:
            raise AssertionError(f"client order id {order.intent.client_order_id} used twice")
        self._by_client[order.intent.client_order_id] = order
        if order.order_id:
            self._by_venue[order.order_id] = order
        if order.is_live or order.unaccounted:
            self._live[order.intent.client_order_id] = order
        return order

    def _reserve(self, order: Order) -> None:
        order.reserved = worst_case_cost(order.intent, order.unaccounted, order.fees)
        if order.is_live or order.unaccounted:
            self._live[order.intent.client_order_id] = order
        else:
            self._live.pop(order.intent.client_order_id, None)
