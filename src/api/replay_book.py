"""One market's book in a replay report: it goes on whatever comes, and says what did not fit.

A stream does not say in which leg its NO side is priced, so both readings are kept until the end.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from src.core.book import OrderBook
from src.core.events import BookDelta, BookSnapshot, Levels, PublicTrade
from src.core.grid import LINEAR_CENT, PriceGrid, PriceRange
from src.core.sides import BookSide
from src.core.units import DOLLAR_PRICE, Count, Nanos, Price, format_count, format_price

Leg: TypeAlias = Literal["no-leg", "yes-leg"]
LEGS: tuple[Leg, ...] = get_args(Leg)
# A stream does not say its markets' grids: whole cents until a finer price is seen, then every price.
_FINEST = PriceGrid((PriceRange(0, DOLLAR_PRICE, 1),))


MOST_EXAMPLES = 5
_REMEMBERED = 64


@dataclass(slots=True)
class Finding:
    """How often something was found, with the first few places."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """Found at one more place."""
        self.count += 1
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(example)

    def __iadd__(self, other: Finding) -> Finding:
        self.count += other.count
        self.examples = [*self.examples, *other.examples][:MOST_EXAMPLES]
        return self

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"count": self.count, "first": self.examples}


@dataclass(slots=True)
class Reading:
    """A book read in one leg, and what speaks for that leg.

    ``fitting_snapshots``: those that are uncrossed in this leg only. ``touches``: trades and tickers that
    fit the asks of this leg only. ``crossed_messages``: after how many changes the book was crossed.
    """

    book: OrderBook
    fitting_snapshots: int = 0
    touches: int = 0
    crossed_messages: int = 0
    was_crossed: bool = False
    crossings: Finding = field(default_factory=Finding)


class ReplayBook:
    """The book of ``ticker``. ``moment`` and ``where`` are those of the last message applied."""

    def __init__(self, ticker: str) -> None:
        self.ticker = ticker
        self.readings = {leg: Reading(OrderBook(ticker, LINEAR_CENT)) for leg in LEGS}
        self.messages = 0
        self.moment: int | None = None
        self.where = ""
        # (time, size, price as sent) of purchases and of shrunk asks that have not been matched yet.
        self._bought: deque[tuple[Nanos | None, Count, Price]] = deque(maxlen=_REMEMBERED)
        self._shrunk: deque[tuple[Nanos | None, Count, Price]] = deque(maxlen=_REMEMBERED)

    def snapshot(self, event: BookSnapshot) -> None:
        """Replace the book. Raises ``BookError`` for a price given twice or a size beyond 64 bits."""
        self.messages += 1
        for leg, reading in self.readings.items():
            asks = _turned(event.asks) if leg == "no-leg" else event.asks
            for price, _ in (*event.bids, *asks):
                _admit(reading.book, price)
            reading.book.apply_snapshot(event.bids, asks, event.seq, event.ts_recv, event.ts_event)
        uncrossed = [reading for reading in self.readings.values() if not reading.book.is_crossed]
        if len(uncrossed) == 1 and event.bids and event.asks:
            uncrossed[0].fitting_snapshots += 1

    def delta(self, event: BookDelta) -> str:
        """Apply a change; returns why it does not fit, empty when it does.

        A size below zero is taken as an empty level, so that one lost message does not hide what follows.
        """
        self.messages += 1
        refused = ""
        for leg, reading in self.readings.items():
            book, price, change = reading.book, event.price, event.delta
            if not book.is_valid:
                return ""  # after a snapshot that could not be used there is nothing to change
            if leg == "no-leg" and event.side is BookSide.ASK:
                price = DOLLAR_PRICE - price
            _admit(book, price)
            before = book.size_at(event.side, price)
            if before + change < 0:
                refused = (
                    f"{event.ticker} {event.side.value} at {format_price(event.price)}: "
                    f"{format_count(before)} there, changed by {format_count(change)}"
                )
                change = -before
            book.apply_delta(event.side, price, change, event.seq, event.ts_recv, event.ts_event)
            reading.crossed_messages += book.is_crossed
        if event.side is BookSide.ASK and event.delta < 0:
            self._shrunk.append((event.ts_event, -event.delta, event.price))
            self._match(event.ts_event, -event.delta)
        return refused

    def quoted(self, ask: Price) -> None:
        """A ticker says that the best ask is ``ask``."""
        touched = [reading for reading in self.readings.values() if reading.book.best_ask == ask]
        if len(touched) == 1:
            touched[0].touches += 1

    def traded(self, trade: PublicTrade) -> None:
        """Somebody bought: the asks at the trade's price shrink by as much at the same time."""
        if trade.taker_side is BookSide.BID:
            self._bought.append((trade.ts_event, trade.count, trade.price))
            self._match(trade.ts_event, trade.count)

    def _match(self, ts: Nanos | None, size: Count) -> None:
        bought = [each for each in self._bought if each[:2] == (ts, size)]
        shrunk = [each for each in self._shrunk if each[:2] == (ts, size)]
        if len(bought) == len(shrunk) == 1 and bought[0][2] != DOLLAR_PRICE // 2:
            (*_, price), (*_, sent) = bought[0], shrunk[0]
            self.readings["yes-leg"].touches += sent == price
            self.readings["no-leg"].touches += sent == DOLLAR_PRICE - price
            self._bought.remove(bought[0])
            self._shrunk.remove(shrunk[0])

    def judge(self) -> None:
        """Note in which readings the book became crossed since it was last judged."""
        for reading in self.readings.values():
            was_crossed, reading.was_crossed = reading.was_crossed, reading.book.is_crossed
            if reading.was_crossed and not was_crossed:
                bid, ask = _text(reading.book.best_bid), _text(reading.book.best_ask)
                reading.crossings.add(f"{self.where}: {self.ticker}: bid {bid} at or above ask {ask}")

    def forget(self) -> None:
        """No more messages will come: let the levels go, keep what was found."""
        for reading in self.readings.values():
            reading.book.invalidate()

    def document(self, leg: Leg) -> dict[str, Any]:
        """The top of the book now, prices in dollars of YES, sizes in contracts; null for an empty side."""
        book = self.readings[leg].book
        return {
            "market": book.ticker,
            "bid": _text(book.best_bid),
            "bid_size": _size(book.best_bid, book.best_bid_size),
            "ask": _text(book.best_ask),
            "ask_size": _size(book.best_ask, book.best_ask_size),
            "prices": leg,
            "is_valid": book.is_valid,
            "is_crossed": book.is_crossed,
            "levels": [len(book.levels(side)) for side in (BookSide.BID, BookSide.ASK)],
            "messages": self.messages,
            "seq": book.seq,
            "recv_ns": book.ts or None,
        }


def _admit(book: OrderBook, price: Price) -> None:
    if book.grid is LINEAR_CENT and not LINEAR_CENT.is_legal(price):
        book.regrid(_FINEST)


def _turned(levels: Levels) -> Levels:
    return tuple((DOLLAR_PRICE - price, size) for price, size in levels)


def _text(price: Price | None) -> str | None:
    return None if price is None else format_price(price)


def _size(price: Price | None, size: Count) -> str | None:
    return None if price is None else format_count(size)
