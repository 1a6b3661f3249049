"""Messages of channels that the engine does not need, in exact units, for whoever asks for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from src.core.units import Cash, Count, Nanos, Price


@dataclass(frozen=True, slots=True)
class Ticker:
    """A market's best quotes and last trade changed (``ticker``). An empty side quotes 0 or 1 dollar.

    The sizes are None where the message gives none.
    """

    ticker: str
    last_price: Price
    yes_bid: Price
    yes_ask: Price
    yes_bid_size: Count | None
    yes_ask_size: Count | None
    volume: Count
    open_interest: Count
    ts_event: Nanos
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class PositionUpdate:
    """Our position in a market as the venue has it (``market_positions``); not sequenced."""

    ticker: str
    count: Count
    cost: Cash
    realized_pnl: Cash
    fees_paid: Cash
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class OrderGroupUpdate:
    """Something happened to an order group (``order_group_updates``).

    ``kind``: created, triggered, reset, deleted, limit_updated, or one added since.
    """

    group_id: str
    kind: str
    contracts_limit: Count | None
    ts_event: Nanos
    ts_recv: Nanos


ExtraMessage: TypeAlias = Ticker | PositionUpdate | OrderGroupUpdate
OnMessage: TypeAlias = Callable[[ExtraMessage], None]
