"""What the engine knows of the markets: metadata, books the feed vouches for, feed health."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from src.core.book import OrderBook
from src.core.brackets import exhaustive_ladder
from src.core.errors import WireError
from src.core.events import (
    BookDelta,
    BookDeltas,
    BookInvalid,
    BookSnapshot,
    Event,
    ExchangeSchedule,
    ExchangeStatus,
    FeedDown,
    FeedUp,
    Levels,
    LifecycleKind,
    MarketLifecycle,
    MarketUpdate,
)
from src.core.fees import FeeSchedule
from src.core.grid import PriceGrid
from src.core.market import Market, MarketStatus
from src.core.sides import BookSide
from src.core.units import Nanos

if TYPE_CHECKING:
    from src.core.book_arrays import BookArrays

_STATUS_OF = {
    LifecycleKind.ACTIVATED: MarketStatus.ACTIVE,
    LifecycleKind.DEACTIVATED: MarketStatus.INACTIVE,
    LifecycleKind.DETERMINED: MarketStatus.DETERMINED,
    LifecycleKind.SETTLED: MarketStatus.FINALIZED,
}


class _Rows(dict[str, int]):
    """Rows by ticker; -1 for a market that has none."""

    def __missing__(self, ticker: str) -> int:
        return -1


class MarketState:
    """Markets and books. A book exists only from a snapshot until something casts doubt on it.

    Books are kept one by one until ``move_books`` is through, and in its arrays from then on, to the same
    effect.
    """

    def __init__(self) -> None:
        self.markets: dict[str, Market] = {}
        self._events: dict[str, list[str]] = {}
        self._series: dict[str, list[str]] = {}
        self._books: dict[str, OrderBook] = {}
        self._arrays: BookArrays | None = None
        self._rows: dict[str, int] = {}
        # The books the feed vouches for, and the row of each in the arrays (-1 while there are none).
        self._valid = _Rows()
        # Doubt travels in the urgent lane and overtakes books that were received before it.
        self._doubted_ts: dict[str, Nanos] = {}
        self._down_ts: Nanos = 0
        self.feed_up = False
        # None: never read, or no longer readable.
        self.status: ExchangeStatus | None = None
        self.status_lost = False
        self.schedule: ExchangeSchedule | None = None

    def apply(self, event: Event) -> str | None:
        """Apply a market-data or feed event. Returns a complaint when the event could not be used."""
        if type(event) is BookDelta:  # nearly every event
            return self._delta(event)
        match event:
            case BookSnapshot():
                return self.replace_book(
                    event.ticker, event.bids, event.asks, event.seq, event.ts_recv, event.ts_event
                )
            case BookInvalid():
                for ticker in event.tickers:
                    self._valid.pop(ticker, None)
                self._doubted_ts.update(dict.fromkeys(event.tickers, event.ts_recv))
            case MarketUpdate():
                self._update(event.market)
            case MarketLifecycle():
                self._lifecycle(event)
            case ExchangeSchedule():
                self.schedule = event
            case FeedDown(feed="exchange"):
                self.status, self.status_lost = None, True
            case FeedDown(feed="market"):
                self.feed_up = False
                self._down_ts = event.ts_recv
                self._valid.clear()
            case FeedUp(feed="market"):
                self.feed_up = True
        return None

    @property
    def exchange_active(self) -> bool:
        """Whether anything passes at the exchange, as far as it said."""
        return self.status is None or self.status.exchange_active

    @property
    def trading_active(self) -> bool:
        """Whether orders are taken, as far as the exchange said."""
        return self.status is None or self.status.trading_active

    def status_changed(self, event: ExchangeStatus) -> tuple[str, ...]:
        """The exchange says whether it trades. After a pause every book is in doubt: their markets."""
        resumed = event.trading_active and not self.trading_active
        self.status, self.status_lost = event, False
        if not resumed:
            return ()
        doubtful = tuple(sorted(self._valid))
        self._valid.clear()
        self._doubted_ts.update(dict.fromkeys(doubtful, event.ts_recv))
        return doubtful

    def apply_batch(self, batch: BookDeltas) -> list[tuple[str, str]]:
        """Apply changes in order. Returns (ticker, complaint) of those that could not be used."""
        if self._arrays is None:
            return [(delta.ticker, said) for delta in batch if (said := self._delta(delta)) is not None]
        refused = self._arrays.apply(batch, self._valid)
        if not refused:
            return []
        # Nothing of a refused change was applied, nor anything after it: asked again, its book says why.
        changes = list(batch)
        complaints = []
        for change in (changes[i] for i in refused):
            complaint = self._delta(change)
            assert complaint is not None, f"{change} was refused and then applied"
            complaints.append((change.ticker, complaint))
        return complaints

    def move_books(self, arrays: BookArrays) -> Iterator[None]:
        """Keep the books in ``arrays``, what they hold included: one of them a step.

        Events may be handled between two steps. Batches are applied by ``arrays`` once all books are there.
        """
        self._rows.clear()  # an attempt that was broken off left them in other arrays
        while waiting := [ticker for ticker in self._books if ticker not in self._rows]:
            for ticker in waiting:
                book = self._books[ticker]
                moved = arrays.book(ticker, book.grid)
                if book.is_valid:
                    bids, asks = book.levels(BookSide.BID), book.levels(BookSide.ASK)
                    moved.apply_snapshot(bids, asks, book.seq, book.ts, book.ts_event)
                self._books[ticker], self._rows[ticker] = moved, moved.row
                if ticker in self._valid:
                    self._valid[ticker] = moved.row
                yield
        self._arrays = arrays

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

    def shard_of(self, ticker: str) -> int:
        """The shard (``exchange_index``) of a market; the first one for a market never described to us."""
        market = self.markets.get(ticker)
        return market.exchange_index if market else 0

    def markets_of(self, event_ticker: str) -> Sequence[Market]:
        """Known markets of an event, by ticker."""
        return [self.markets[ticker] for ticker in self._events.get(event_ticker, ())]

    def exclusive_ladder(self, event_ticker: str) -> tuple[str, ...] | None:
        """The event's tickers when exactly one of them pays: the venue says so and no bracket is missing."""
        markets = self.markets_of(event_ticker)
        if not markets or not all(market.mutually_exclusive for market in markets):
            return None
        ladder = exhaustive_ladder(markets)
        return tuple(market.ticker for market in ladder) if ladder is not None else None

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
            self._valid.pop(market.ticker, None)

    def _lifecycle(self, event: MarketLifecycle) -> None:
        market = self.markets.get(event.ticker)
        if market is None:
            return
        status = _STATUS_OF.get(event.kind, market.status)
        self.markets[event.ticker] = market.changed(
            status=status,
            close_time=event.close_time if event.close_time is not None else market.close_time,
            result=event.result or market.result,
            settlement_value=market.settlement_value
            if event.settlement_value is None
            else event.settlement_value,
        )

    def replace_book(
        self, ticker: str, bids: Levels, asks: Levels, seq: int, ts_recv: Nanos, ts_event: Nanos | None
    ) -> str | None:
        """Take in a whole book, as ``apply`` does a ``BookSnapshot`` of the same fields."""
        market = self.markets.get(ticker)
        if market is None:
            return f"book of {ticker}: market not described yet"
        if ts_recv < self._down_ts or (self._doubted_ts and ts_recv < self._doubted_ts.get(ticker, 0)):
            return None  # older than the doubt about it: the next snapshot is on its way
        book = self._books.get(ticker)
        if book is None or book.grid is not market.grid:
            book = self._book_for(market)
        try:
            book.apply_snapshot(bids, asks, seq, ts_recv, ts_event)
        except WireError as error:
            self._valid.pop(ticker, None)
            return str(error)
        if ticker not in self._valid:
            self._valid[ticker] = self._rows.get(ticker, -1)
        return None

    def _book_for(self, market: Market) -> OrderBook:
        """The market's book on its present grid, about to be replaced by a snapshot."""
        book = self._books.get(market.ticker)
        if book is None:
            book = self._books[market.ticker] = self._new_book(market.ticker, market.grid)
        elif book.grid != market.grid:
            book.invalidate()
            book.regrid(market.grid)
        return book

    def _new_book(self, ticker: str, grid: PriceGrid) -> OrderBook:
        if self._arrays is None:
            return OrderBook(ticker, grid)
        book = self._arrays.book(ticker, grid)
        self._rows[ticker] = book.row
        return book

    def _delta(self, event: BookDelta) -> str | None:
        ticker, side, price, delta, seq, ts_event, ts_recv = event
        if ticker not in self._valid:
            return None  # held back until a snapshot arrives: the delta is part of it
        try:
            self._books[ticker].apply_delta(side, price, delta, seq, ts_recv, ts_event)
        except WireError as error:
            self._valid.pop(ticker, None)
            return str(error)
        return None
