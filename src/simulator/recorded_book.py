"""The ASSUMED order book around recorded trades: the record holds trades, no quotes and no depth.

Assumptions, all from the past only:

1. The best ask is the price of the last trade whose taker bought YES; the best bid that of the last trade
   whose taker bought NO.
2. Where the two touch or cross, the older one moves to one tick beyond the newer; off the grid it goes.
3. A side not seen yet, or whose last trade is three hours old, retreats to five cents from the market's
   newest trade (or stays where it is, if that is worse for a taker): somebody quotes, but wide. Real spreads
   in these markets were two to four cents.
4. Twelve hours after its last trade of either side a market has no book at all: nobody trades on a dead tape.
5. The size at the touch is the (lower) median of the last five trade sizes of that side, at most 200
   contracts. One more level stands one tick behind with the same size.
6. The book is restored to this after every trade in the market, whatever we took before.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median_low

from src.core.events import Levels
from src.core.grid import LINEAR_CENT
from src.core.sides import BookSide
from src.core.units import CENT_PRICE, DOLLAR_PRICE, HOUR, ONE_CONTRACT, Count, Nanos, Price
from src.simulator.world import CrowdPrint, CrowdQuote

STALE_AFTER: Nanos = 3 * HOUR
GONE_AFTER: Nanos = 12 * HOUR
RETREAT: Price = 5 * CENT_PRICE
MAX_TOUCH_SIZE: Count = 200 * ONE_CONTRACT
_SIZES_REMEMBERED = 5


@dataclass(slots=True)
class _Side:
    """One side as its own trades show it; ``price`` is ``None`` before the first or off the grid."""

    price: Price | None = None
    last_print: Nanos | None = None
    sizes: deque[Count] = field(default_factory=lambda: deque(maxlen=_SIZES_REMEMBERED))


class AssumedBook:
    """The crowd's book in one market, as far as its trades show it."""

    def __init__(self, ticker: str) -> None:
        self._ticker = ticker
        self._sides = {BookSide.BID: _Side(), BookSide.ASK: _Side()}
        self._newest: CrowdPrint | None = None
        self._shown: tuple[Levels, Levels] = ((), ())

    def after(self, trade: CrowdPrint) -> CrowdQuote:
        """The book after a trade."""
        self._newest = trade
        hit = self._sides[trade.taker_side.other]
        hit.price, hit.last_print = trade.price, trade.ts
        hit.sizes.append(trade.count)
        older = self._sides[trade.taker_side]
        if older.price is not None:
            if trade.taker_side is BookSide.BID:
                moved = min(older.price, LINEAR_CENT.step_down(trade.price))
            else:
                moved = max(older.price, LINEAR_CENT.step_up(trade.price))
            older.price = moved if LINEAR_CENT.is_legal(moved) else None
        return self._quote(trade.ts)

    def aged(self, now: Nanos) -> CrowdQuote | None:
        """The book as time alone has changed it, or ``None`` if it has not."""
        before = self._shown
        quote = self._quote(now)
        return quote if self._shown != before else None

    def _quote(self, ts: Nanos) -> CrowdQuote:
        bids, asks = self._levels(BookSide.BID, ts), self._levels(BookSide.ASK, ts)
        self._shown = (bids, asks)
        return CrowdQuote(ts, self._ticker, bids, asks)

    def _levels(self, side: BookSide, ts: Nanos) -> Levels:
        price = self._touch(side, ts)
        if price is None:
            return ()
        sizes = self._sides[side].sizes or self._sides[side.other].sizes
        size = min(MAX_TOUCH_SIZE, median_low(sizes))
        behind = LINEAR_CENT.step_down(price) if side is BookSide.BID else LINEAR_CENT.step_up(price)
        prices = (price, behind) if 0 < behind < DOLLAR_PRICE else (price,)
        return tuple((level, size) for level in prices)

    def _touch(self, side: BookSide, ts: Nanos) -> Price | None:
        newest, own = self._newest, self._sides[side]
        if newest is None or newest.ts + GONE_AFTER <= ts:
            return None
        if own.last_print is not None and own.last_print + STALE_AFTER > ts:
            return own.price
        if side is BookSide.BID:
            far = newest.price - RETREAT
            price = far if own.price is None else min(far, own.price)
        else:
            far = newest.price + RETREAT
            price = far if own.price is None else max(far, own.price)
        return price if LINEAR_CENT.is_legal(price) else None
