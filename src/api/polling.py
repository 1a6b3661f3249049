"""Market data without a key: order books polled by public REST, for paper trading.

Public reads are cached at the venue's edge for up to 15 s, so these books lag; nothing real may be priced
from them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

from src.api.budget import Sleep, loop_time
from src.api.catalogue import TRADABLE, WHERE, MarketCatalogue
from src.api.client import KalshiClient
from src.api.convert import to_levels
from src.api.following import OnBad
from src.core.errors import FatalError, VenueError, WireError
from src.core.events import BookInvalid, BookSnapshot, Event, FeedDown, FeedUp, MarketUpdate
from src.core.market import MarketStatus
from src.core.ports import Clock
from src.core.units import Nanos


class PollingFeed:
    """Books of the open markets of ``series``, and of those watched, every ``interval`` seconds.

    Markets are read again every ``rediscover_every`` seconds, also those that are no longer open, so that
    results and settlements are seen. ``seq`` of a snapshot is this feed's own counter.
    """

    def __init__(
        self,
        client: KalshiClient,
        clock: Clock,
        *,
        series: Sequence[str],
        on_bad: OnBad,
        interval: float = 5.0,
        rediscover_every: float = 120.0,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._client = client
        self._clock = clock
        self._series = tuple(series)
        self._on_bad = on_bad
        self._interval = interval
        self._rediscover_every = rediscover_every
        self._sleep = sleep
        self._catalogue = MarketCatalogue(client, on_bad)
        self._watched: set[str] = set()
        self._tradable: set[str] = set()
        self._undescribed: set[str] = set()
        self._seq = 0
        self._closed = False

    async def stream(self) -> AsyncIterator[Event]:
        """Yield events until cancelled or closed. A failed read is a ``FeedDown``, never an empty book.

        Raises ``FatalError`` when the exchange refuses for good.
        """
        is_up = False
        described_at: float | None = None
        while not self._closed:
            try:
                if described_at is None or loop_time() - described_at >= self._rediscover_every:
                    for update in await self._describe():
                        yield update
                    described_at = loop_time()
                elif self._undescribed:
                    for update in await self._fetch(sorted(self._undescribed)):
                        yield update
                events = await self._poll()
                if not is_up:
                    is_up = True
                    yield FeedUp("market", self._clock.now())
                for event in events:
                    yield event
            except FatalError:
                raise
            except (VenueError, WireError) as error:
                is_up, described_at = False, None
                yield FeedDown("market", str(error), self._clock.now())
            await self._sleep(self._interval)

    async def watch(self, tickers: Iterable[str]) -> None:
        """Follow these markets too, from the next poll on."""
        new = set(tickers) - self._watched
        self._watched |= new
        self._undescribed |= new

    async def unwatch(self, tickers: Iterable[str]) -> None:
        """Follow these markets no longer (until they are discovered again)."""
        gone = set(tickers)
        self._watched -= gone
        self._tradable -= gone
        self._undescribed -= gone

    async def aclose(self) -> None:
        """End the stream after the poll under way. The client stays open: it is the caller's."""
        self._closed = True

    async def _describe(self) -> list[MarketUpdate]:
        markets = await self._catalogue.discover(self._series)
        now = self._clock.now()
        self._watched |= {market.ticker for market in markets if market.status in TRADABLE}
        self._tradable = {market.ticker for market in markets if market.status in TRADABLE}
        others = sorted(self._watched - {market.ticker for market in markets})
        return [MarketUpdate(market, now) for market in markets] + await self._fetch(others)

    async def _fetch(self, tickers: Sequence[str]) -> list[MarketUpdate]:
        markets = await self._catalogue.fetch(tickers)
        now = self._clock.now()
        for market in markets:
            self._undescribed.discard(market.ticker)
            if market.status in TRADABLE:
                self._tradable.add(market.ticker)
            elif market.status is MarketStatus.FINALIZED:
                self._watched.discard(market.ticker)
        return [MarketUpdate(market, now) for market in markets]

    async def _poll(self) -> list[Event]:
        tickers = sorted(self._tradable & self._watched)
        books = {book.ticker: book.orderbook_fp for book in await self._client.orderbooks(tickers)}
        now = self._clock.now()
        events: list[Event] = []
        for ticker in tickers:
            book = books.get(ticker)
            events.append(
                BookInvalid((ticker,), "the venue gave no book", now)
                if book is None
                else self._snapshot(ticker, book.yes_dollars, book.no_dollars, now)
            )
        return events

    def _snapshot(
        self,
        ticker: str,
        yes: list[tuple[str, str]] | None,
        no: list[tuple[str, str]] | None,
        now: Nanos,
    ) -> BookSnapshot | BookInvalid:
        try:
            bids, asks = to_levels(yes, no)
        except WireError as error:
            self._on_bad(WHERE, error.field)
            return BookInvalid((ticker,), str(error), now)
        self._seq += 1
        return BookSnapshot(ticker, bids, asks, self._seq, None, now)
