"""One order as we know it: a table of transitions, and a reserve that holds until fills account for it.

"No answer" is a state (``UNKNOWN``), not a failure. A fill after a cancel is legal; a fill reported
before the order's acknowledgement is legal; anything the table does not name is an assertion.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from src.core.actions import OrderChanged, OrderStatus
from src.core.fees import FeeSchedule
from src.core.sides import from_book
from src.core.signal import OrderIntent, Purpose, TimeInForce
from src.core.units import ONE_CONTRACT, Cash, Count, Nanos

S = OrderStatus
LIVE = frozenset({S.PENDING_NEW, S.RESTING, S.PARTIALLY_FILLED, S.PENDING_CANCEL, S.UNKNOWN})
TERMINAL = frozenset({S.EXECUTED, S.CANCELED, S.EXPIRED, S.REJECTED})

TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    S.PENDING_NEW: frozenset(
        {
            S.RESTING,
            S.PARTIALLY_FILLED,
            S.EXECUTED,
            S.CANCELED,
            S.EXPIRED,
            S.REJECTED,
            S.UNKNOWN,
            S.PENDING_CANCEL,
        }
    ),
    S.UNKNOWN: frozenset(
        {S.RESTING, S.PARTIALLY_FILLED, S.EXECUTED, S.CANCELED, S.EXPIRED, S.REJECTED, S.PENDING_CANCEL}
    ),
    S.RESTING: frozenset(
        # REJECTED: the venue may refuse after its acknowledgement (post-only cross, self-trade).
        {S.PARTIALLY_FILLED, S.EXECUTED, S.CANCELED, S.EXPIRED, S.REJECTED, S.PENDING_CANCEL, S.UNKNOWN}
    ),
    S.PARTIALLY_FILLED: frozenset({S.EXECUTED, S.CANCELED, S.EXPIRED, S.PENDING_CANCEL, S.UNKNOWN}),
    S.PENDING_CANCEL: frozenset(
        # RESTING, PARTIALLY_FILLED: the cancel call failed and the order still stands.
        {S.RESTING, S.PARTIALLY_FILLED, S.EXECUTED, S.CANCELED, S.EXPIRED, S.UNKNOWN}
    ),
    # A fill can overtake the cancel's acknowledgement; the venue then calls the order executed.
    S.CANCELED: frozenset({S.EXECUTED}),
    S.EXPIRED: frozenset({S.EXECUTED}),
    # Made larger by hand after we had counted it as filled: the venue shows that more of it rests.
    S.EXECUTED: frozenset({S.PARTIALLY_FILLED}),
    # The venue's records overrule our belief that an order never arrived.
    S.REJECTED: frozenset({S.RESTING, S.PARTIALLY_FILLED, S.EXECUTED, S.CANCELED, S.EXPIRED}),
}


def worst_case_cost(intent: OrderIntent, count: Count, fees: FeeSchedule) -> Cash:
    """Most that ``count`` of this order can cost: limit price plus taker fee, rounded up per contract.

    Price plus fee rises with price, so a better fill never costs more. An order that only reduces a
    position brings money in and reserves nothing.
    """
    if intent.purpose is Purpose.EXIT:
        return 0
    _, price = from_book(intent.side, intent.price)
    rounding = fees.rounding * -(-count // ONE_CONTRACT)
    return price * count + fees.trade_fee(intent.price, count, is_taker=True) + rounding if count else 0


@dataclass(slots=True)
class Order:
    """One order. ``venue_filled`` is the venue's cumulative statement; ``filled`` sums our fills."""

    intent: OrderIntent
    status: OrderStatus
    order_id: str = ""
    filled: Count = 0
    venue_filled: Count = 0
    reserved: Cash = 0
    reason: str = ""
    external: bool = False
    updated_ts: Nanos = 0
    venue_ts: Nanos = 0
    changed_ts: Nanos = 0
    misses: int = 0
    amend_sent: Nanos | None = None
    amend_failed: bool = False
    fees: FeeSchedule = field(default_factory=FeeSchedule)

    @property
    def is_live(self) -> bool:
        """Whether the order may still trade, as far as we know."""
        return self.status in LIVE

    @property
    def is_settled_at_rest(self) -> bool:
        """Whether it rests at the venue and every fill the venue told of has been booked."""
        return self.status in {S.RESTING, S.PARTIALLY_FILLED} and self.venue_filled == self.filled

    @property
    def rests(self) -> bool:
        """Whether it is an order that stays in the book, and the venue has said that it does."""
        may_rest = self.intent.time_in_force is TimeInForce.GOOD_TILL_CANCELED
        return may_rest and self.status in {S.RESTING, S.PARTIALLY_FILLED} and bool(self.order_id)

    @property
    def remaining(self) -> Count:
        """Contracts that may still trade, as far as we know."""
        return self.intent.count - self.filled if self.is_live else 0

    @property
    def unaccounted(self) -> Count:
        """Contracts that may have been, or may yet be, filled without our having the fills."""
        return (self.intent.count if self.is_live else self.venue_filled) - self.filled

    def changed(self, ts: Nanos) -> OrderChanged:
        """The order's row for the store."""
        return OrderChanged(
            client_order_id=self.intent.client_order_id,
            order_id=self.order_id,
            intent=self.intent,
            status=self.status,
            filled=max(self.filled, self.venue_filled),
            reserved=self.reserved,
            reason=self.reason,
            external=self.external,
            ts=ts,
        )


def status_of(order: Order, remaining: Count, *, canceled: bool) -> OrderStatus:
    """Our status for what the venue says is left of an order."""
    if order.venue_filled >= order.intent.count:
        return S.EXECUTED
    if canceled:
        return S.CANCELED
    if remaining == 0:
        return S.EXECUTED if order.venue_filled else S.CANCELED
    return S.PARTIALLY_FILLED if order.venue_filled else S.RESTING
