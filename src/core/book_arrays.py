"""Many books in a few flat arrays, so that one compiled call applies a whole batch of changes.

``BookArrays`` owns the arrays; ``ArrayBook`` is the ``OrderBook`` of one row of them, with the same readings,
refusals and complaints. A book takes 64 bytes of state and 8 bytes for each legal price of each side: 1.6 KB
on a one-cent grid, 160 KB on the finest. Importing this module compiles the kernel (``book_kernel``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from src.core.book import MOST_SIZE, Half, OrderBook
from src.core.book_kernel import (
    BEST_BID,
    BOOK_SEQ,
    BOOK_TS,
    BOOK_TS_EVENT,
    GRID,
    OFFSET,
    SLOTS,
    apply_changes,
    change,
)
from src.core.events import NO_TIME, BookDeltas
from src.core.grid import PriceGrid
from src.core.sides import BookSide
from src.core.units import DOLLAR_PRICE, Count, Nanos, Price

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BID, _ASK = BookSide.BID, BookSide.ASK
_COLUMNS = 8
_FIRST_ROWS, _FIRST_SIZES = 64, 64 * 2 * 99


class BookArrays:
    """The arrays of a set of books. They grow by doubling and never shrink."""

    def __init__(self) -> None:
        self.states: NDArray[np.int64] = np.zeros((_FIRST_ROWS, _COLUMNS), np.int64)
        self.sizes: NDArray[np.int64] = np.zeros(_FIRST_SIZES, np.int64)
        self._slots: NDArray[np.int32] = np.full((0, DOLLAR_PRICE + 1), -1, np.int32)
        self._grids: dict[PriceGrid, int] = {}
        self._rows = self._used = 0
        self._view_again()

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        return self.states.nbytes + self.sizes.nbytes + self._slots.nbytes

    def book(self, ticker: str, grid: PriceGrid) -> ArrayBook:
        """A new book, invalid until its first snapshot."""
        row = self._rows
        if row == len(self.states):
            self.states = np.concatenate((self.states, np.zeros_like(self.states)))
            self._view_again()
        self._rows += 1
        return ArrayBook(ticker, grid, self, row)

    def apply(self, batch: BookDeltas, row_of: Mapping[str, int]) -> list[int]:
        """Apply the changes in order, those of each market to the book of its row; -1 for none.

        Returns the places of changes that do not fit; further ones of the same book are left out.
        """
        markets = len(batch.tickers)
        where = np.fromiter(map(row_of.__getitem__, batch.tickers), np.int64, markets)
        refused = np.empty(markets, np.int64)
        wrong = apply_changes(
            batch.columns, where, batch.ts_recv, self.states, self.sizes, self._slots, refused
        )
        return refused[:wrong].tolist() if wrong else []

    def change(
        self, row: int, side: int, price: Price, delta: Count, seq: int, ts: Nanos, ts_event: Nanos
    ) -> bool:
        """Apply one change; False, and nothing changed, when it does not fit."""
        return bool(change(row, side, price, delta, seq, ts, ts_event, self.states, self.sizes, self._slots))

    def put(self, row: int, grid: PriceGrid, bids: Half, asks: Half, room: int) -> int:
        """Write a whole book into ``row``, which has ``room`` for so many slots a side; returns the room."""
        count = len(bids.prices)
        if count > room:
            while self._used + 2 * count > len(self.sizes):
                self.sizes = np.concatenate((self.sizes, np.zeros_like(self.sizes)))
                self._view_again()
            self.states[row, OFFSET] = self._used
            self._used += 2 * count
            room = count
        first = int(self.states[row, OFFSET])
        self.sizes[first : first + count] = bids.sizes
        self.sizes[first + count : first + 2 * count] = asks.sizes
        self.states[row, SLOTS] = count
        self.states[row, GRID] = self._grid(grid)
        self.states[row, BEST_BID : BEST_BID + 2] = bids.best, asks.best
        return room

    def _grid(self, grid: PriceGrid) -> int:
        number = self._grids.get(grid)
        if number is None:
            number = self._grids[grid] = len(self._grids)
            slots = np.full((1, DOLLAR_PRICE + 1), -1, np.int32)
            slots[0, list(grid.legal_prices())] = np.arange(len(grid.legal_prices()))
            self._slots = np.concatenate((self._slots, slots))
        return number

    def _view_again(self) -> None:
        """Readings go through views of the arrays: plain integers, at a third of the time of numpy's."""
        self.state_view = self.states.reshape(-1).data
        self.size_view = self.sizes.data


class _ArrayHalf(Half):
    """One side of a book that lies in the arrays."""

    __slots__ = ("_arrays", "_best_at", "_first")

    def __init__(self, arrays: BookArrays, row: int, side: int, like: Half) -> None:
        self.prices, self.slot = like.prices, like.slot
        self._arrays = arrays
        self._best_at = row * _COLUMNS + BEST_BID + side
        self._first = int(arrays.states[row, OFFSET]) + side * len(self.prices)

    @property
    def best(self) -> int:  # type: ignore[override]  # of the plain half it is a slot
        """The best occupied slot, -1 when the side is empty."""
        return self._arrays.state_view[self._best_at]

    @property
    def sizes(self) -> memoryview[int]:  # type: ignore[override]
        """Sizes by slot."""
        return self._arrays.size_view[self._first : self._first + len(self.prices)]

    def best_size(self) -> Count:
        best = self.best
        return self._arrays.size_view[self._first + best] if best >= 0 else 0

    def levels(self, depth: int | None) -> list[tuple[Price, Count]]:
        sizes = self._arrays.sizes[self._first : self._first + self.best + 1]
        slots = np.flatnonzero(sizes)[::-1][:depth]
        return [
            (self.prices[slot], size)
            for slot, size in zip(slots.tolist(), sizes[slots].tolist(), strict=True)
        ]


class ArrayBook(OrderBook):
    """The book of one row of ``BookArrays``; made by ``BookArrays.book``."""

    __slots__ = ("_arrays", "_at", "_room", "row")

    def __init__(self, ticker: str, grid: PriceGrid, arrays: BookArrays, row: int) -> None:
        self._arrays = arrays
        self._at = row * _COLUMNS
        self._room = 0
        self.row = row
        super().__init__(ticker, grid)

    def apply_delta(
        self, side: BookSide, price: Price, delta: Count, seq: int, ts: Nanos, ts_event: Nanos | None
    ) -> None:
        """As ``OrderBook.apply_delta``."""
        event = NO_TIME if ts_event is None else ts_event
        fits = abs(delta) <= MOST_SIZE and self._arrays.change(
            self.row, side is not _BID, price, delta, seq, ts, event
        )
        if not fits:
            raise self._refuse_change(side, price, delta)

    @property
    def best_bid(self) -> Price | None:  # type: ignore[override]  # of the plain book these are slots
        """Highest bid."""
        return self._bids.best_price()

    @property
    def best_ask(self) -> Price | None:  # type: ignore[override]
        """Lowest ask."""
        return self._asks.best_price()

    @property
    def seq(self) -> int:
        """Sequence number of the last message applied."""
        return self._arrays.state_view[self._at + BOOK_SEQ]

    @seq.setter
    def seq(self, seq: int) -> None:
        self._arrays.state_view[self._at + BOOK_SEQ] = seq

    @property
    def ts(self) -> Nanos:
        """When the last message applied was received."""
        return self._arrays.state_view[self._at + BOOK_TS]

    @ts.setter
    def ts(self, ts: Nanos) -> None:
        self._arrays.state_view[self._at + BOOK_TS] = ts

    @property
    def ts_event(self) -> Nanos | None:
        """The venue's time of the last message applied."""
        ts_event = self._arrays.state_view[self._at + BOOK_TS_EVENT]
        return None if ts_event == NO_TIME else ts_event

    @ts_event.setter
    def ts_event(self, ts_event: Nanos | None) -> None:
        self._arrays.state_view[self._at + BOOK_TS_EVENT] = NO_TIME if ts_event is None else ts_event

    def _replace(self, bids: Sequence[tuple[Price, Count]], asks: Sequence[tuple[Price, Count]]) -> None:
        self._adopt(*self._halves(bids, asks))

    def _adopt(self, bids: Half, asks: Half) -> None:
        self._room = self._arrays.put(self.row, self.grid, bids, asks, self._room)
        if bids.prices:
            bids, asks = (
                _ArrayHalf(self._arrays, self.row, side, half) for side, half in enumerate((bids, asks))
            )
        self._bids, self._asks = bids, asks
