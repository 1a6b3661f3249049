"""One market's book in a replay report: it goes on whatever comes, and says what did not fit."""

from __future__ import annotations

from typing import Any

from src.core.book import OrderBook
from src.core.events import BookDelta, BookSnapshot, Levels
from src.core.grid import LINEAR_CENT, PriceGrid, PriceRange
from src.core.sides import BookSide
from src.core.units import DOLLAR_PRICE, Count, Price, format_count, format_price

# A stream does not say its markets' grids: whole cents until a finer price is seen, then every price.
_FINEST = PriceGrid((PriceRange(0, DOLLAR_PRICE, 1),))


class ReplayBook:
    """The book of ``ticker``. ``clock`` and ``where`` are those of the last message applied."""

    def __init__(self, ticker: str) -> None:
        self.book = OrderBook(ticker, LINEAR_CENT)
        self.messages = 0
        self.clock: int | None = None
        self.where = ""
        self._was_crossed = False

    def snapshot(self, event: BookSnapshot, is_no_leg: bool) -> None:
        """Replace the book. Raises ``BookError`` for a price given twice or a size beyond 64 bits."""
        self.messages += 1
        asks = _turned(event.asks) if is_no_leg else event.asks
        for price, _ in (*event.bids, *asks):
            self._admit(price)
        self.book.apply_snapshot(event.bids, asks, event.seq, event.ts_recv, event.ts_event)

    def delta(self, event: BookDelta, is_no_leg: bool) -> str:
        """Apply a change; returns why it does not fit, empty when it does.

        A size below zero is taken as an empty level, so that one lost message does not hide what follows.
        """
        self.messages += 1
        if not self.book.is_valid:
            return ""  # after a snapshot that could not be used there is nothing to change
        price, change = event.price, event.delta
        if is_no_leg and event.side is BookSide.ASK:
            price = DOLLAR_PRICE - price
        self._admit(price)
        before = self.book.size_at(event.side, price)
        refused = ""
        if before + change < 0:
            refused = (
                f"{event.ticker} {event.side.value} at {format_price(price)}: "
                f"{format_count(before)} there, changed by {format_count(change)}"
            )
            change = -before
        self.book.apply_delta(event.side, price, change, event.seq, event.ts_recv, event.ts_event)
        return refused

    def newly_crossed(self) -> str:
        """The crossing, when the book is crossed and was not when last asked; else empty."""
        was_crossed, self._was_crossed = self._was_crossed, self.book.is_crossed
        if was_crossed or not self._was_crossed:
            return ""
        bid, ask = _text(self.book.best_bid), _text(self.book.best_ask)
        return f"{self.book.ticker}: bid {bid} at or above ask {ask}"

    def document(self) -> dict[str, Any]:
        """The top of the book now, prices in dollars of YES, sizes in contracts; null for an empty side."""
        book = self.book
        return {
            "market": book.ticker,
            "bid": _text(book.best_bid),
            "bid_size": _size(book.best_bid, book.best_bid_size),
            "ask": _text(book.best_ask),
            "ask_size": _size(book.best_ask, book.best_ask_size),
            "is_valid": book.is_valid,
            "is_crossed": book.is_crossed,
            "levels": [len(book.levels(side)) for side in (BookSide.BID, BookSide.ASK)],
            "messages": self.messages,
            "seq": book.seq,
            "recv_ns": book.ts or None,
        }

    def _admit(self, price: Price) -> None:
        if self.book.grid is LINEAR_CENT and not LINEAR_CENT.is_legal(price):
            self.book.regrid(_FINEST)


def _turned(levels: Levels) -> Levels:
    return tuple((DOLLAR_PRICE - price, size) for price, size in levels)


def _text(price: Price | None) -> str | None:
    return None if price is None else format_price(price)


def _size(price: Price | None, size: Count) -> str | None:
    return None if price is None else format_count(size)
