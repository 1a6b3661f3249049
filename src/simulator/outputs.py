"""What the exchange tells its listeners, in the order it happened, one batch per operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from src.core.fees import FeeSchedule
from src.core.sides import BookSide
from src.core.units import Count, Nanos, Price
from src.simulator.records import Position, SettlementRecord, Trade, VenueFill, VenueOrder


@dataclass(frozen=True, slots=True)
class BookChange:
    """Size at a YES price changed. ``clock`` is the market's; ``key_id`` owns the lot ("" = crowd)."""

    ticker: str
    side: BookSide
    price: Price
    delta: Count
    clock: int
    key_id: str
    client_order_id: str
    ts: Nanos


@dataclass(frozen=True, slots=True)
class TradePrinted:
    """A public trade."""

    trade: Trade


@dataclass(frozen=True, slots=True)
class FillMade:
    """An account's order traded."""

    key_id: str
    fill: VenueFill


@dataclass(frozen=True, slots=True)
class OrderChange:
    """An account's order was created or changed; ``order`` is the live object as it stands."""

    key_id: str
    order: VenueOrder


@dataclass(frozen=True, slots=True)
class PositionChange:
    """An account's position changed; ``position`` is the live object as it stands."""

    key_id: str
    position: Position


@dataclass(frozen=True, slots=True)
class SettlementPaid:
    """An account was paid for a market."""

    key_id: str
    settlement: SettlementRecord


@dataclass(frozen=True, slots=True)
class CashMoved:
    """An account's cash changed by a transfer or deposit."""

    key_id: str


@dataclass(frozen=True, slots=True)
class EventListed:
    """An event became known; its markets' ``CREATED`` follow."""

    event_ticker: str
    ts: Nanos


class LifecycleStep(Enum):
    """Steps of a market's life that Kalshi announces (opening and closing are silent)."""

    CREATED = "created"
    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"
    CLOSE_DATE_UPDATED = "close_date_updated"
    PRICE_LEVEL_STRUCTURE_UPDATED = "price_level_structure_updated"
    DETERMINED = "determined"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class LifecycleChange:
    """A market's life went on."""

    ticker: str
    step: LifecycleStep
    ts: Nanos


@dataclass(frozen=True, slots=True)
class EventFeesChanged:
    """An event's own fees were set, or (None) lifted."""

    event_ticker: str
    fees: FeeSchedule | None
    ts: Nanos


class GroupStep(Enum):
    """What happened to an order group."""

    CREATED = "created"
    TRIGGERED = "triggered"
    RESET = "reset"
    DELETED = "deleted"
    LIMIT_UPDATED = "limit_updated"


@dataclass(frozen=True, slots=True)
class GroupChange:
    """An account's order group changed; ``limit`` is its limit as it stands."""

    key_id: str
    group_id: str
    step: GroupStep
    limit: Count
    ts: Nanos


Output: TypeAlias = (
    BookChange
    | TradePrinted
    | FillMade
    | OrderChange
    | PositionChange
    | SettlementPaid
    | CashMoved
    | EventListed
    | LifecycleChange
    | EventFeesChanged
    | GroupChange
)
Listener: TypeAlias = Callable[[Sequence[Output]], None]
