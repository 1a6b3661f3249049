"""The ASSUMED order book around recorded trades: the record holds trades, no quotes and no depth.

Assumptions, all from the past only and all on the side of fewer and worse fills for us:

1. The best ask is the price of the last trade whose taker bought YES; the best bid that of the last trade
   whose taker bought NO. A side not seen yet does not exist: the book is then one-sided.
2. Where the two touch or cross, the older one moves to one tick beyond the newer; off the grid it goes.
3. The size at the touch is the (lower) median of the last five trade sizes of that side, at most 200
   contracts. One more level stands one tick behind with the same size.
4. A side is withdrawn three hours after its last trade: nobody trades on a dead tape.
5. The book is restored to this after every trade in the market, whatever we took before.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median_low

from src.core.events import Levels
from src.core.grid import LINEAR_CENT
from src.core.sides import BookSide
from src.core.units import DOLLAR_PRICE, HOUR, ONE_CONTRACT, Count, Nanos, Price
from src.simulator.world import CrowdPrint, CrowdQuote

STALE_AFTER: Nanos = 3 * HOUR
MAX_TOUCH_SIZE: Count = 200 * ONE_CONTRACT
_SIZES_REMEMBERED = 5


@dataclass(slots=True)
class _Side:
    """One side of the assumed book; ``price`` is ``None`` while it does not exist."""

    price: Price | None = None
    last_print: Nanos = 0
    sizes: deque[Count] = field(default_factory=lambda: deque(maxlen=_SIZES_REMEMBERED))

    def withdraw(self) -> None:
        self.price = None
        self.sizes.clear()


class AssumedBook:
    """The crowd's book in one market, as far as its trades show it."""

    def __init__(self, ticker: str) -> None:
        self._ticker = ticker
        self._sides = {BookSide.BID: _Side(), BookSide.ASK: _Side()}

    def after(self, trade: CrowdPrint) -> CrowdQuote:
        """The book after a trade."""
        hit = self._sides[trade.taker_side.other]
        hit.price, hit.last_print = trade.price, trade.ts
        hit.sizes.append(trade.count)
        older = self._sides[trade.taker_side]
        if older.price is not None:
            if trade.taker_side is BookSide.BID:
                limit = LINEAR_CENT.step_down(trade.price)
                moved = min(older.price, limit)
            else:
                limit = LINEAR_CENT.step_up(trade.price)
                moved = max(older.price, limit)
            older.price = moved if LINEAR_CENT.is_legal(moved) else None
        return self._quote(trade.ts)

    def withdraw_stale(self, now: Nanos) -> CrowdQuote | None:
        """The book without the sides whose last trade is too old, or ``None`` if nothing changes."""
        stale = [s for s in self._sides.values() if s.price is not None and s.last_print + STALE_AFTER <= now]
        for side in stale:
            side.withdraw()
        return self._quote(now) if stale else None

    def _quote(self, ts: Nanos) -> CrowdQuote:
        return CrowdQuote(ts, self._ticker, self._levels(BookSide.BID), self._levels(BookSide.ASK))

    def _levels(self, side: BookSide) -> Levels:
        shown = self._sides[side]
        if shown.price is None:
            return ()
        size = min(MAX_TOUCH_SIZE, median_low(shown.sizes))
        step = LINEAR_CENT.step_down if side is BookSide.BID else LINEAR_CENT.step_up
        behind = step(shown.price)
        prices = (shown.price, behind) if 0 < behind < DOLLAR_PRICE else (shown.price,)
        return tuple((price, size) for price in prices)
