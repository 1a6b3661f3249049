"""What the engine knows of the markets: metadata, books the feed vouches for, feed health."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from src.core.book import OrderBook
from src.core.errors import WireError
from src.core.events import (
    BookDelta,
    BookInvalid,
    BookSnapshot,
    Event,
    ExchangeStatus,
    FeedDown,
    FeedUp,
    LifecycleKind,
    MarketLifecycle,
    MarketUpdate,
)
from src.core.fees import FeeSchedule
from src.core.market import Market, MarketStatus
from src.core.units import Nanos

_STATUS_OF = {
    LifecycleKind.ACTIVATED: MarketStatus.ACTIVE,
    LifecycleKind.DEACTIVATED: MarketStatus.INACTIVE,
    LifecycleKind.DETERMINED: MarketStatus.DETERMINED,
    LifecycleKind.SETTLED: MarketStatus.FINALIZED,
}


class MarketState:
    """Markets and books. A book exists only from a snapshot until something casts doubt on it."""

    def __init__(self) -> None:
        self.markets: dict[str, Market] = {}
        self._events: dict[str, list[str]] = {}
        self._series: dict[str, list[str]] = {}
        self._books: dict[str, OrderBook] = {}
        self._valid: set[str] = set()
        # Doubt travels in the urgent lane and overtakes books that were received before it.
        self._doubted_ts: dict[str, Nanos] = {}
        self._down_ts: Nanos = 0
        self.feed_up = False
        self.exchange_active = True
        self.trading_active = True

    def apply(self, event: Event) -> str | None:
        """Apply a market-data or feed event. Returns a complaint when the event could not be used."""
        if type(event) is BookDelta:  # nearly every event
            return self._delta(event)
        match event:
            case BookSnapshot():
                return self._snapshot(event)
            case BookInvalid():
                self._valid.difference_update(event.tickers)
                self._doubted_ts.update(dict.fromkeys(event.tickers, event.ts_recv))
            case MarketUpdate():
                self._update(event.market)
            case MarketLifecycle():
                self._lifecycle(event)
            case ExchangeStatus():
                self.exchange_active, self.trading_active = event.exchange_active, event.trading_active
            case FeedDown(feed="market"):
                self.feed_up = False
                self._down_ts = event.ts_recv
                self._valid.clear()
            case FeedUp(feed="market"):
                self.feed_up = True
        return None

    def book(self, ticker: str) -> OrderBook | None:
        """The book, or None when the feed does not vouch for it."""
        return self._books[ticker] if self.feed_up and ticker in self._valid else None

    def market(self, ticker: str) -> Market | None:
        """A known market."""
        return self.markets.get(ticker)

    def fees(self, ticker: str) -> FeeSchedule:
        """Fee terms of a known market; the standard schedule for one never described to us."""
        market = self.markets.get(ticker)
        return market.fees if market else FeeSchedule()

    def event_of(self, ticker: str) -> str:
        """The market's event; by the ticker's own grammar when the market was never described."""
        market = self.markets.get(ticker)
        return market.event_ticker if market else ticker.rpartition("-")[0]

    def markets_of(self, event_ticker: str) -> Sequence[Market]:
        """Known markets of an event, by ticker."""
        return [self.markets[ticker] for ticker in self._events.get(event_ticker, ())]

    def event_tickers(self, series_ticker: str, now: Nanos) -> Sequence[str]:
        """Events of a series with a market that is open now."""
        return [
            event
            for event in self._series.get(series_ticker, ())
            if any(self.markets[ticker].is_open(now) for ticker in self._events[event])
        ]

    def _update(self, market: Market) -> None:
        known = self.markets.get(market.ticker)
        self.markets[market.ticker] = market
        if known is None:
            tickers = self._events.setdefault(market.event_ticker, [])
            tickers.append(market.ticker)
            tickers.sort()
            events = self._series.setdefault(market.series_ticker, [])
            if market.event_ticker not in events:
                events.append(market.event_ticker)
        elif known.grid != market.grid:
            # Resting prices may be off the new grid: only a fresh snapshot makes the book usable again.
            self._valid.discard(market.ticker)

    def _lifecycle(self, event: MarketLifecycle) -> None:
        market = self.markets.get(event.ticker)
        if market is None:
            return
        status = _STATUS_OF.get(event.kind, market.status)
        self.markets[event.ticker] = replace(
            market,
            status=status,
            close_time=event.close_time if event.close_time is not None else market.close_time,
            result=event.result or market.result,
            settlement_value=market.settlement_value
            if event.settlement_value is None
            else event.settlement_value,
        )

    def _snapshot(self, event: BookSnapshot) -> str | None:
        market = self.markets.get(event.ticker)
        if market is None:
            return f"book of {event.ticker}: market not described yet"
        if event.ts_recv < max(self._down_ts, self._doubted_ts.get(event.ticker, 0)):
            return None  # older than the doubt about it: the next snapshot is on its way
        book = self._books.get(event.ticker)
        if book is None or book.grid != market.grid:
            book = self._books[event.ticker] = OrderBook(event.ticker, market.grid)
        try:
            book.apply_snapshot(event.bids, event.asks, event.seq, event.ts_recv, event.ts_event)
        except WireError as error:
            self._valid.discard(event.ticker)
            return str(error)
        self._valid.add(event.ticker)
        return None

    def _delta(self, event: BookDelta) -> str | None:
        ticker, side, price, delta, seq, ts_event, ts_recv = event
        if ticker not in self._valid:
            return None  # held back until a snapshot arrives: the delta is part of it
        try:
            self._books[ticker].apply_delta(side, price, delta, seq, ts_recv, ts_event)
        except WireError as error:
            self._valid.discard(ticker)
            return str(error)
        return None
