"""One market's YES book: a flat list of sizes per side, one slot per legal price.

A Kalshi book has few legal prices (99 to 9,999), so a delta is two index operations. Each side is stored
worst price first: a higher slot is always a better price, and both sides share one code path. A byte map of
occupied slots lets the next best price be found by a C memory search, however sparse the book is.
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from functools import lru_cache
from typing import NamedTuple

from src.core.errors import WireError
from src.core.grid import PriceGrid
from src.core.sides import BookSide, Outcome, from_book
from src.core.units import DOLLAR_PRICE, Count, Nanos, Price, format_count, format_price

_BID = BookSide.BID
_ASK = BookSide.ASK
# Sizes fit what stores and columns hold, so a runaway sum is refused where it arises.
MOST_SIZE: Count = 2**63 - 1


class BookError(WireError):
    """A message does not fit the book: the book is invalid until the next snapshot."""


class _Ladder(NamedTuple):
    """Legal prices of one side, worst first, and the slot of each."""

    prices: tuple[Price, ...]
    slot: dict[Price, int]


_NO_LADDER = _Ladder((), {})


@lru_cache(maxsize=256)
def _ladders(grid: PriceGrid) -> tuple[_Ladder, _Ladder]:
    """The ladders of bids and asks on a grid, shared by every market on it."""
    bids = grid.legal_prices()
    asks = bids[::-1]
    return (
        _Ladder(bids, {price: slot for slot, price in enumerate(bids)}),
        _Ladder(asks, {price: slot for slot, price in enumerate(asks)}),
    )


class Half:
    """One side of the book. ``best`` is the best occupied slot, -1 when the side is empty."""

    __slots__ = ("best", "occupied", "prices", "sizes", "slot")

    def __init__(self, ladder: _Ladder) -> None:
        self.prices, self.slot = ladder
        self.sizes: MutableSequence[Count] = [0] * len(ladder.prices)
        self.occupied = bytearray(len(ladder.prices))
        self.best = -1

    def best_price(self) -> Price | None:
        return self.prices[self.best] if self.best >= 0 else None

    def best_size(self) -> Count:
        return self.sizes[self.best] if self.best >= 0 else 0

    def levels(self, depth: int | None) -> list[tuple[Price, Count]]:
        found: list[tuple[Price, Count]] = []
        slot = self.best
        while slot >= 0 and (depth is None or len(found) < depth):
            found.append((self.prices[slot], self.sizes[slot]))
            slot = self.occupied.rfind(1, 0, slot)
        return found


# Of a book without a snapshot: they have no slot that could be written.
_NO_HALVES = (Half(_NO_LADDER), Half(_NO_LADDER))


class OrderBook:
    """The book of ``ticker``. Prices are YES prices (1e-4 dollars), sizes 0.01 contract.

    ``best_bid``, ``best_ask``: ``Price`` or None for an empty side. ``seq``, ``ts`` (our receipt) and
    ``ts_event`` (the venue's own time, where given) belong to the last message applied; times are UTC
    nanoseconds. Written by the two ``apply`` methods only (and by ``book_arrays``, which keeps many books in
    arrays behind this same interface).

    A book starts invalid, becomes valid with a snapshot, and a message that does not fit makes it invalid
    again. An invalid book shows no levels and refuses deltas; ask ``is_valid`` before reading emptiness
    as information.
    """

    best_bid: Price | None
    best_ask: Price | None

    __slots__ = ("_asks", "_bids", "best_ask", "best_bid", "grid", "seq", "ticker", "ts", "ts_event")

    def __init__(self, ticker: str, grid: PriceGrid) -> None:
        self.ticker = ticker
        self.grid = grid
        self.seq = 0
        self.ts: Nanos = 0
        self.ts_event: Nanos | None = None
        self.invalidate()

    # --- writing -------------------------------------------------------------------------------

    def apply_snapshot(
        self,
        bids: Sequence[tuple[Price, Count]],
        asks: Sequence[tuple[Price, Count]],
        seq: int,
        ts: Nanos,
        ts_event: Nanos | None,
    ) -> None:
        """Replace the book by these levels, in any order. A level of size zero is no level.

        Raises ``BookError`` naming the level for a price off the grid or given twice, or a negative size.
        """
        self._replace(bids, asks)
        self.seq = seq
        self.ts = ts
        self.ts_event = ts_event

    def apply_delta(
        self, side: BookSide, price: Price, delta: Count, seq: int, ts: Nanos, ts_event: Nanos | None
    ) -> None:
        """Change the size at one price by ``delta`` (signed).

        Raises ``BookError`` for a price off the grid, a size that would go negative, or no snapshot yet.
        """
        half = self._bids if side is _BID else self._asks
        try:
            slot = half.slot[price]
        except KeyError:
            raise self._refuse_change(side, price, delta) from None
        before = half.sizes[slot]
        after = before + delta
        if not 0 <= after <= MOST_SIZE:
            raise self._refuse_change(side, price, delta)
        half.sizes[slot] = after
        if not after:
            half.occupied[slot] = 0
            if slot == half.best:
                self._set_best(half, half.occupied.rfind(1, 0, slot))
        elif not before:
            half.occupied[slot] = 1
            if slot > half.best:
                self._set_best(half, slot)
        self.seq = seq
        self.ts = ts
        self.ts_event = ts_event

    def regrid(self, grid: PriceGrid) -> None:
        """The venue changed the market's ticks: keep the levels.

        Raises ``BookError`` when a resting price is off the new grid; the book then waits for a snapshot.
        """
        bids, asks = self.levels(_BID), self.levels(_ASK)
        was_valid = self.is_valid
        self.grid = grid
        if was_valid:
            self._adopt(*self._halves(bids, asks))

    def invalidate(self) -> None:
        """Forget every level and refuse deltas until the next snapshot."""
        self._adopt(*_NO_HALVES)

    # --- reading -------------------------------------------------------------------------------

    @property
    def is_valid(self) -> bool:
        """Whether a snapshot and everything after it was applied."""
        return bool(self._bids.prices)

    @property
    def best_bid_size(self) -> Count:
        """Contracts at the best bid; 0 when there is no bid."""
        return self._bids.best_size()

    @property
    def best_ask_size(self) -> Count:
        """Contracts at the best ask; 0 when there is no ask."""
        return self._asks.best_size()

    @property
    def is_two_sided(self) -> bool:
        """Whether there is a bid and an ask."""
        return self.best_bid is not None and self.best_ask is not None

    @property
    def is_sound(self) -> bool:
        """Whether there is a bid below an ask: what a price may be read from."""
        return self.best_bid is not None and self.best_ask is not None and self.best_bid < self.best_ask

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid is at or above the best ask (locked counts: it cannot rest on the venue)."""
        return self.best_bid is not None and self.best_ask is not None and self.best_bid >= self.best_ask

    @property
    def spread(self) -> Price | None:
        """Best ask minus best bid; negative when crossed, None when a side is empty."""
        if self.best_bid is None or self.best_ask is None:
            return None
        return self.best_ask - self.best_bid

    @property
    def mid(self) -> float | None:
        """Midpoint in dollars as a probability of YES; None when a side is empty."""
        if self.best_bid is None or self.best_ask is None:
            return None
        return (self.best_bid + self.best_ask) / (2 * DOLLAR_PRICE)

    def size_at(self, side: BookSide, price: Price) -> Count:
        """Contracts resting at a YES price; 0 where nothing rests or nothing can."""
        half = self._bids if side is _BID else self._asks
        slot = half.slot.get(price)
        return 0 if slot is None else half.sizes[slot]

    def levels(self, side: BookSide, depth: int | None = None) -> list[tuple[Price, Count]]:
        """(YES price, size) of up to ``depth`` levels of one side, best first."""
        return (self._bids if side is _BID else self._asks).levels(depth)

    def offers(self, outcome: Outcome, depth: int | None = None) -> list[tuple[Price, Count]]:
        """What can be bought of ``outcome`` now, at that outcome's own price, best (lowest) first."""
        if outcome is Outcome.YES:
            return self.levels(_ASK, depth)
        # Selling YES to a bid at p is buying NO at 1 - p.
        return [(from_book(_ASK, price)[1], size) for price, size in self.levels(_BID, depth)]

    def bids_for(self, outcome: Outcome, depth: int | None = None) -> list[tuple[Price, Count]]:
        """What a holder of ``outcome`` can sell to now, at that outcome's own price, best (highest) first."""
        if outcome is Outcome.YES:
            return self.levels(_BID, depth)
        return [(from_book(_ASK, price)[1], size) for price, size in self.levels(_ASK, depth)]

    # --- inside --------------------------------------------------------------------------------

    def _replace(self, bids: Sequence[tuple[Price, Count]], asks: Sequence[tuple[Price, Count]]) -> None:
        if not self._bids.prices:
            self._adopt(*self._halves(bids, asks))
            return
        # Most snapshots have few levels: taking the old ones out costs less than two new halves.
        self._fill(self._bids, _BID, bids)
        self._fill(self._asks, _ASK, asks)
        self._adopt(self._bids, self._asks)

    def _halves(
        self, bids: Sequence[tuple[Price, Count]], asks: Sequence[tuple[Price, Count]]
    ) -> tuple[Half, Half]:
        of_bids, of_asks = _ladders(self.grid)
        halves = Half(of_bids), Half(of_asks)
        self._fill(halves[0], _BID, bids)
        self._fill(halves[1], _ASK, asks)
        return halves

    def _fill(self, half: Half, side: BookSide, levels: Sequence[tuple[Price, Count]]) -> None:
        """Make these a half's levels."""
        sizes, occupied, slots, old, best = half.sizes, half.occupied, half.slot, half.best, -1
        while old >= 0:
            sizes[old] = occupied[old] = 0
            old = occupied.rfind(1, 0, old)
        for number, (price, size) in enumerate(levels):
            slot = slots.get(price)
            if slot is None or occupied[slot] or not 0 <= size <= MOST_SIZE:
                raise self._refuse_level(f"{side.value}s[{number}]", price, size, is_on_grid=slot is not None)
            if size:
                sizes[slot] = size
                occupied[slot] = 1
                if slot > best:
                    best = slot
        half.best = best

    def _refuse_level(self, field: str, price: Price, size: Count, *, is_on_grid: bool) -> BookError:
        """Say why a level of a snapshot does not fit."""
        if not is_on_grid:
            return self._refuse(f"{field} price", format_price(price), self._grid_text())
        if size < 0:
            return self._refuse(f"{field} size", format_count(size), "a size of zero or more")
        if size > MOST_SIZE:
            return self._refuse(f"{field} size", str(size), "a size of at most 64 bits")
        return self._refuse(f"{field} price", format_price(price), "each price once")

    def _set_best(self, half: Half, slot: int) -> None:
        half.best = slot
        if half is self._bids:
            self.best_bid = half.best_price()
        else:
            self.best_ask = half.best_price()

    def _adopt(self, bids: Half, asks: Half) -> None:
        self._bids = bids
        self._asks = asks
        self.best_bid = bids.prices[bids.best] if bids.best >= 0 else None
        self.best_ask = asks.prices[asks.best] if asks.best >= 0 else None

    def _grid_text(self) -> str:
        steps = (f"{format_price(band.step)} from {format_price(band.start)}" for band in self.grid.ranges)
        return f"a price on the market's grid (steps of {', '.join(steps)})"

    def _refuse_change(self, side: BookSide, price: Price, delta: Count) -> BookError:
        """Say why a change does not fit, and wait for a snapshot."""
        half = self._bids if side is _BID else self._asks
        if price not in half.slot:
            expected = self._grid_text() if self.is_valid else "a snapshot before any change"
            return self._refuse(f"{side.value} price", format_price(price), expected)
        before = half.sizes[half.slot[price]]
        field = f"{side.value} size at {format_price(price)}"
        if before + delta > MOST_SIZE:
            return self._refuse(field, str(before + delta), "a size of at most 64 bits")
        expected = f"a change that leaves zero or more of the {format_count(before)} there"
        return self._refuse(field, format_count(delta), expected)

    def _refuse(self, field: str, value: str, expected: str) -> BookError:
        self.invalidate()
        return BookError(f"{self.ticker} {field}", value, expected)
