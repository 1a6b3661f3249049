"""Polled REST answers of a recording made without a key, back into markets and books."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from src.api import schema
from src.api.convert import to_levels, to_market
from src.api.decoding import decode
from src.api.following import OnBad
from src.api.recorder_format import Record
from src.core.errors import WireError
from src.core.events import BookInvalid, BookSnapshot, Event, MarketUpdate
from src.core.units import Nanos

WHERE = "recording"
_ANSWER = re.compile(r"rest 200 GET \S*?/(?P<what>series/[^/?]+|events|markets|markets/orderbooks)(?:\?\S*)?")


class PolledAnswers:
    """Follows series, events, markets and books from answer to answer; ``seq`` is its own counter."""

    def __init__(self, on_bad: OnBad) -> None:
        self._on_bad = on_bad
        self._series: dict[str, schema.SeriesBody] = {}
        self._events: dict[str, schema.EventBody] = {}
        self._seq = 0

    def on_answer(self, record: Record) -> tuple[Event, ...]:
        """What one answer says; a malformed one is reported and says nothing."""
        found = _ANSWER.fullmatch(record.kind)
        if found is None:
            return ()
        try:
            return self._read(found["what"], record.payload, record.ts)
        except WireError as error:
            self._on_bad(WHERE, error.field)
            return ()

    def _read(self, what: str, body: bytes, ts: Nanos) -> tuple[Event, ...]:
        match what:
            case "events":
                events = decode(body, schema.EventsPage, what).events
                self._events |= {event.event_ticker: event for event in events}
                return self._markets((raw for event in events for raw in event.markets or ()), ts)
            case "markets":
                return self._markets(decode(body, schema.MarketsPage, what).markets, ts)
            case "markets/orderbooks":
                books = decode(body, schema.OrderbooksAnswer, what).orderbooks
                return tuple(self._book(book, ts) for book in books)
            case _:
                series = decode(body, schema.SeriesAnswer, what).series
                self._series[series.ticker] = series
                return ()

    def _markets(self, items: Iterable[msgspec.Raw], ts: Nanos) -> tuple[MarketUpdate, ...]:
        updates: list[MarketUpdate] = []
        for raw in items:
            event = self._events.get(decode(raw, schema.MarketEvent, "market").event_ticker)
            series = self._series.get(event.series_ticker) if event is not None else None
            if event is None or series is None:
                continue
            try:
                updates.append(MarketUpdate(to_market(raw, event, series), ts))
            except WireError as error:
                self._on_bad(WHERE, error.field)
        return tuple(updates)

    def _book(self, book: schema.MarketOrderbookBody, ts: Nanos) -> BookSnapshot | BookInvalid:
        try:
            bids, asks = to_levels(book.orderbook_fp.yes_dollars, book.orderbook_fp.no_dollars)
        except WireError as error:
            self._on_bad(WHERE, error.field)
            return BookInvalid((book.ticker,), str(error), ts)
        self._seq += 1
        return BookSnapshot(book.ticker, bids, asks, self._seq, None, ts)
