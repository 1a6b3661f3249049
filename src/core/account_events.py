"""What the venue says about our account: orders, fills, settlements, whole reports.

``ts_recv`` and ``ts_event`` are explained in ``events``, which names everything that is an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from src.core.sides import BookSide
from src.core.units import Cash, Count, Nanos, Price


class VenueOrderStatus(Enum):
    """The venue's own order statuses (REST and WebSocket)."""

    RESTING = "resting"
    CANCELED = "canceled"
    EXECUTED = "executed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class OrderAccepted:
    """Answer to our create call: the venue holds the order."""

    client_order_id: str
    order_id: str
    filled: Count
    remaining: Count
    ts_event: Nanos
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class OrderRejected:
    """The venue definitely refused the order; it does not exist. ``fatal``: until a person acts."""

    client_order_id: str
    code: str
    message: str
    ts_recv: Nanos
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class OrderUnknown:
    """No usable answer: the order may exist. Only the venue's records resolve this."""

    client_order_id: str
    reason: str
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """The venue's view of one order, from the private feed or from a listing.

    ``remaining`` is 0 once canceled; ``filled`` is cumulative. ``updated_ts`` orders updates.
    """

    order_id: str
    client_order_id: str
    ticker: str
    side: BookSide
    price: Price
    count: Count
    filled: Count
    remaining: Count
    status: VenueOrderStatus
    updated_ts: Nanos
    ts_recv: Nanos
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CancelAnswered:
    """Answer to our cancel call. ``outcome``: "canceled", "not_found" (proves nothing) or "failed".

    ``reduced_by``: what the cancel took out of the book; the rest of the order has filled.
    """

    client_order_id: str
    outcome: str
    detail: str
    ts_recv: Nanos
    reduced_by: Count | None = None


@dataclass(frozen=True, slots=True)
class AmendAnswered:
    """Answer to our amend call. ``outcome``: "amended", or "failed" (it may have happened: records tell).

    ``count`` is the order's new total and ``expiration_ts`` its new expiry; ``ts_event`` the venue's time.
    """

    client_order_id: str
    outcome: str
    count: Count
    expiration_ts: Nanos
    detail: str
    ts_event: Nanos
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class Fill:
    """One of our fills, keyed by ``(trade_id, order_id)``; ``fee`` is the venue's own, net."""

    trade_id: str
    order_id: str
    client_order_id: str
    ticker: str
    side: BookSide
    price: Price
    count: Count
    fee: Cash
    is_taker: bool
    ts_event: Nanos
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """Signed position (+ YES, - NO) as the venue reports it, with its own totals."""

    ticker: str
    count: Count
    exposure: Cash
    realized_pnl: Cash
    fees_paid: Cash


@dataclass(frozen=True, slots=True)
class Settlement:
    """A settled market that we held. ``value`` is the payout per YES contract (1e-4 dollars)."""

    ticker: str
    event_ticker: str
    value: Price
    revenue: Cash
    yes_count: Count
    no_count: Count
    settled_ts: Nanos
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class AccountReport:
    """The venue's records, read in this order: orders, fills, settlements, positions, balance.

    ``started_ts`` is when the first read began; ``as_of`` is the venue's own freshness stamp. A
    report is whole or it does not exist: a failed read raises, it never yields an empty list.
    ``orders`` holds every resting order and those updated since the requested time. ``shards`` is the
    balance by ``exchange_index``, empty where the venue keeps one purse. ``at_once``: everything was read in
    one instant, so that nothing can have traded between the reads.
    """

    orders: tuple[OrderUpdate, ...]
    fills: tuple[Fill, ...]
    settlements: tuple[Settlement, ...]
    positions: tuple[VenuePosition, ...]
    balance: Cash
    started_ts: Nanos
    as_of: Nanos
    ts_recv: Nanos
    shards: tuple[tuple[int, Cash], ...] = ()
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class ReportFailed:
    """The venue's records could not be read: exposure is unknown until they can.

    ``fatal``: they are refused until a person acts (key revoked, scope or endpoint gone).
    """

    reason: str
    ts_recv: Nanos
    fatal: bool = False
