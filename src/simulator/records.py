"""What the exchange keeps about accounts, as plain data: orders, fills, positions, settlements, trades.

Prices are YES prices (1e-4 dollars), counts 0.01 contract, cash 1e-6 dollars, times UTC nanoseconds of
the world's clock. ``ordinal`` numbers the records of one kind in the order they came into being.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from src.core.events import VenueOrderStatus
from src.core.fees import FeeAccumulator
from src.core.sides import BookSide
from src.core.signal import OrderIntent, TimeInForce
from src.core.units import Cash, Count, Nanos, Price


class SelfTradePrevention(Enum):
    """What happens when an order meets one of the same account (Kalshi V2)."""

    TAKER_AT_CROSS = "taker_at_cross"
    MAKER = "maker"


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A create request. ``exchange_index`` None or -1 routes by ticker; an empty client id is none."""

    ticker: str
    side: BookSide
    price: Price
    count: Count
    time_in_force: TimeInForce = TimeInForce.GOOD_TILL_CANCELED
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.TAKER_AT_CROSS
    client_order_id: str = ""
    post_only: bool = False
    reduce_only: bool = False
    expiration_ts: Nanos | None = None
    cancel_on_pause: bool = False
    exchange_index: int | None = None
    order_group_id: str = ""


def order_from(intent: OrderIntent) -> NewOrder:
    """The order that an intent asks for, for callers in the same process."""
    return NewOrder(
        ticker=intent.ticker,
        side=intent.side,
        price=intent.price,
        count=intent.count,
        time_in_force=intent.time_in_force,
        client_order_id=intent.client_order_id,
        post_only=intent.post_only,
        reduce_only=intent.reduce_only,
        expiration_ts=intent.expiration_ts,
        # As the body sent over the wire says it: what rests ends when the exchange pauses.
        cancel_on_pause=intent.time_in_force is TimeInForce.GOOD_TILL_CANCELED,
        exchange_index=intent.exchange_index,
    )


@dataclass(slots=True, eq=False)
class VenueOrder:
    """An order as the exchange holds it. It changes in place: copy it to keep a state of it.

    ``count`` is the initial size (an amended order's new total); ``remaining`` is 0 once canceled;
    ``reason`` is Kalshi's ``last_update_reason``; fill costs are what was paid for the outcome bought
    (asks pay 1 - price).
    """

    ordinal: int
    order_id: str
    user_id: str
    request: NewOrder
    created_ts: Nanos
    updated_ts: Nanos
    remaining: Count
    exchange_index: int
    status: VenueOrderStatus = VenueOrderStatus.RESTING
    reason: str = ""
    filled: Count = 0
    taker_cost: Cash = 0
    maker_cost: Cash = 0
    taker_fees: Cash = 0
    maker_fees: Cash = 0
    fees: FeeAccumulator = field(default_factory=FeeAccumulator)

    @property
    def ticker(self) -> str:
        """Market."""
        return self.request.ticker

    @property
    def side(self) -> BookSide:
        """Side of the YES book."""
        return self.request.side

    @property
    def price(self) -> Price:
        """Limit."""
        return self.request.price

    @property
    def count(self) -> Count:
        """Initial size, or the total last amended to."""
        return self.request.count

    @property
    def client_order_id(self) -> str:
        """The client's own id, or empty."""
        return self.request.client_order_id


@dataclass(frozen=True, slots=True)
class VenueFill:
    """One account's side of a trade. ``fee`` is net; ``post_position`` is signed."""

    ordinal: int
    trade_id: str
    order_id: str
    client_order_id: str
    ticker: str
    side: BookSide
    price: Price
    count: Count
    fee: Cash
    is_taker: bool
    post_position: Count
    exchange_index: int
    ts: Nanos


@dataclass(slots=True)
class Position:
    """One market's position: ``count`` is signed (+ YES, - NO); ``cost`` is what the open part cost.

    ``realized`` excludes fees. ``traded`` is the cash paid for contracts so far, ``volume`` their number.
    """

    ticker: str
    event_ticker: str
    exchange_index: int
    ordinal: int
    count: Count = 0
    cost: Cash = 0
    realized: Cash = 0
    fees: Cash = 0
    traded: Cash = 0
    volume: Count = 0
    updated_ts: Nanos = 0
    settled: bool = False


@dataclass(frozen=True, slots=True)
class SettlementRecord:
    """A settled market an account held at the end. ``value`` pays per YES contract."""

    ordinal: int
    ticker: str
    event_ticker: str
    exchange_index: int
    result: str
    value: Price
    yes_count: Count
    yes_cost: Cash
    no_count: Count
    no_cost: Cash
    revenue: Cash
    fees: Cash
    ts: Nanos


@dataclass(frozen=True, slots=True)
class Trade:
    """A public trade."""

    ordinal: int
    trade_id: str
    ticker: str
    price: Price
    count: Count
    taker_side: BookSide
    ts: Nanos
