"""The markets a feed follows: described by REST, refreshed when the venue says that something changed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence

from src.api.budget import Sleep
from src.api.catalogue import TRADABLE, WHERE, MarketCatalogue
from src.api.client import KalshiClient
from src.api.following import OnBad, Refresh
from src.api.rest import full_jitter
from src.api.session import FeedSession
from src.core.errors import FatalError, VenueError, WireError
from src.core.events import Event, MarketUpdate
from src.core.market import Market
from src.core.ports import Clock

FETCH_ATTEMPTS = 5
BACKOFF_BASE_S, BACKOFF_CAP_S = 0.5, 10.0

Emit = Callable[[tuple[Event, ...]], Awaitable[None]]


class MarketBoard:
    """Outlives connections. ``markets`` have been described to the engine; ``watched`` want a book."""

    def __init__(
        self,
        client: KalshiClient,
        clock: Clock,
        series: Iterable[str],
        on_bad: OnBad,
        *,
        sleep: Sleep = asyncio.sleep,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.series = tuple(series)
        self.markets: dict[str, Market] = {}
        self.watched: set[str] = set()
        self._catalogue = MarketCatalogue(client, on_bad)
        self._clock = clock
        self._on_bad = on_bad
        self._sleep = sleep
        self._rng = rng
        self._refreshes: dict[Refresh, int] = {}
        self._due = asyncio.Event()
        self._reading = False

    @property
    def is_busy(self) -> bool:
        """Whether something is being read, or is about to be."""
        return self._reading or bool(self._refreshes)

    def ask(self, refresh: Refresh) -> None:
        """Have something read again, soon."""
        self._refreshes.setdefault(refresh, 0)
        self._due.set()

    def forget(self, ticker: str) -> None:
        """A settled market needs no book any more."""
        self.markets.pop(ticker, None)
        self.watched.discard(ticker)

    def describable(self, tickers: Iterable[str]) -> set[str]:
        """Those of ``tickers`` whose books can be used, because the market has been described."""
        return self.markets.keys() & set(tickers)

    async def describe(self, session: FeedSession, emit: Emit) -> None:
        """Read every series and whatever else is watched, and subscribe to the books."""
        self._refreshes.pop(Refresh("all"), None)
        await self._discover(session, emit)
        others: Sequence[str] = sorted(self.watched - self.markets.keys())
        await self._take(await self._catalogue.fetch(others), session, emit)
        session.watch(self.describable(self.watched))

    async def wait(self, seconds: float) -> None:
        """Wait until something is to be read again; after ``seconds`` everything is."""
        try:
            async with asyncio.timeout(seconds):
                await self._due.wait()
        except TimeoutError:
            self.ask(Refresh("all"))
        self._due.clear()

    async def refresh(self, session: FeedSession, emit: Emit) -> None:
        """Read what was asked for; what fails is tried again a few times."""
        due, self._refreshes = self._refreshes, {}
        self._reading = True
        try:
            await self._read_all(due, session, emit)
        finally:
            self._reading = False

    async def _read_all(self, due: dict[Refresh, int], session: FeedSession, emit: Emit) -> None:
        for refresh, attempts in due.items():
            try:
                found = await self._read(refresh, session, emit)
            except FatalError:
                raise
            except (VenueError, WireError) as error:
                found = False
                self._on_bad(WHERE, f"{refresh.scope} {refresh.ticker}: {error}")
            if not found and attempts + 1 < FETCH_ATTEMPTS:
                # A market may be unknown to REST for a moment after it was announced.
                await self._sleep(full_jitter(attempts + 1, self._rng, BACKOFF_BASE_S, BACKOFF_CAP_S))
                self._refreshes.setdefault(refresh, attempts + 1)
                self._due.set()

    async def _read(self, refresh: Refresh, session: FeedSession, emit: Emit) -> bool:
        if refresh.scope == "all":
            await self._discover(session, emit)
            return True
        if refresh.scope == "event":
            markets = await self._catalogue.fetch_event(refresh.ticker)
        else:
            markets = await self._catalogue.fetch([refresh.ticker])
        await self._take(markets, session, emit)
        return bool(markets)

    async def _discover(self, session: FeedSession, emit: Emit) -> None:
        await self._take(await self._catalogue.discover(self.series), session, emit)

    async def _take(self, markets: list[Market], session: FeedSession, emit: Emit) -> None:
        """Tell of these markets, then watch those that trade. A changed grid needs a new snapshot."""
        for market in markets:
            known = self.markets.get(market.ticker)
            self.markets[market.ticker] = market
            if market.series_ticker in self.series and market.status in TRADABLE:
                self.watched.add(market.ticker)
            await emit((MarketUpdate(market, self._clock.now()),))
            if known is not None and known.grid != market.grid:
                reason = f"price grid of {market.ticker} changed"
                await emit(session.resync((market.ticker,), reason, self._clock.now()))
        session.watch(market.ticker for market in markets if market.ticker in self.watched)
