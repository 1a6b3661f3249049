"""What the venue says about markets: books, trades, listings, life cycle, status, schedule.

``ts_recv`` and ``ts_event`` are explained in ``events``, which names everything that is an event.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from src.core.market import Market
from src.core.sides import BookSide
from src.core.units import Count, Nanos, Price

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


Levels: TypeAlias = tuple[tuple[Price, Count], ...]


@dataclass(frozen=True, slots=True)
class BookSnapshot:
    """The whole book of a market: YES bids and YES asks, in any order."""

    ticker: str
    bids: Levels
    asks: Levels
    seq: int
    ts_event: Nanos | None
    ts_recv: Nanos


class BookDelta(NamedTuple):
    """Size at one YES price of one side changes by ``delta`` (0.01 contract, signed).

    A tuple, because the feed makes thousands a second and a frozen dataclass takes three times as long.
    """

    ticker: str
    side: BookSide
    price: Price
    delta: Count
    seq: int
    ts_event: Nanos | None
    ts_recv: Nanos


NO_TIME: Nanos = -(2**63)
"""In the columns of ``BookDeltas``: the venue gave no time."""
_SIDES = (BookSide.BID, BookSide.ASK)


@dataclass(frozen=True, slots=True, eq=False)
class BookDeltas:
    """A run of ``BookDelta`` of many markets, received together and to be applied in order.

    ``tickers``: the markets changed, each once. ``columns``: int64 of shape (changes, 6), a row a change:
    place of its market in ``tickers``, side (0 bid, 1 ask), YES price, delta, seq, ``ts_event`` or
    ``NO_TIME``. Iterating gives the same changes one by one.
    """

    tickers: tuple[str, ...]
    columns: NDArray[np.int64]
    ts_recv: Nanos

    def __len__(self) -> int:
        return len(self.columns)

    def __iter__(self) -> Iterator[BookDelta]:
        for market, side, price, delta, seq, ts_event in self.columns.tolist():
            ts = None if ts_event == NO_TIME else ts_event
            yield BookDelta(self.tickers[market], _SIDES[side], price, delta, seq, ts, self.ts_recv)


def books_shown(event: object) -> tuple[str, ...]:
    """Markets whose books an event shows or changes; none for an event that is not about books."""
    if type(event) is BookDeltas:
        return event.tickers
    return (event.ticker,) if type(event) is BookDelta or type(event) is BookSnapshot else ()


@dataclass(frozen=True, slots=True)
class BookInvalid:
    """The feed no longer vouches for these markets' books (gap, resubscription, malformed frame)."""

    tickers: tuple[str, ...]
    reason: str
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """Somebody's trade. ``taker_side`` is the book side of the taker's order."""

    ticker: str
    trade_id: str
    price: Price
    count: Count
    taker_side: BookSide
    ts_event: Nanos
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class MarketUpdate:
    """A market as the venue describes it now (listing, refresh)."""

    market: Market
    ts_recv: Nanos


class LifecycleKind(Enum):
    """Kinds of ``market_lifecycle_v2`` messages that change a known market."""

    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"
    CLOSE_DATE_UPDATED = "close_date_updated"
    DETERMINED = "determined"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class MarketLifecycle:
    """A change in a market's life. Absent fields are unchanged."""

    ticker: str
    kind: LifecycleKind
    ts_recv: Nanos
    close_time: Nanos | None = None
    result: str = ""
    settlement_value: Price | None = None


@dataclass(frozen=True, slots=True)
class ExchangeStatus:
    """``trading_active`` False: orders are refused, cancels may pass; both False: nothing passes.

    ``closed_shards``: shards (``exchange_index``) that take no orders although the exchange does.
    """

    exchange_active: bool
    trading_active: bool
    ts_recv: Nanos
    closed_shards: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class ExchangeSchedule:
    """Times without trading that are known ahead: (begin, end) each, in order, as last read."""

    closed: tuple[tuple[Nanos, Nanos], ...]
    ts_recv: Nanos
