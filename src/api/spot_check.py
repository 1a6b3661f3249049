"""Proof that our books are the exchange's: now and then one of them is compared with REST.

A book moves while it is read, so a level counts as wrong only when our size there did not change from before
one comparison to after a later one, and the exchange's differed from it both times.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from src.api.budget import Sleep
from src.api.client import KalshiClient
from src.api.convert import to_levels
from src.core.errors import FatalError, VenueError, WireError
from src.core.events import Levels
from src.core.sides import BookSide
from src.core.units import Count, Price

Sizes: TypeAlias = Mapping[tuple[BookSide, Price], Count]
ReadBook: TypeAlias = Callable[[str], tuple[Levels, Levels] | None]
"""(YES bids, YES asks) of a market as we have them, or None while there is no book to vouch for."""

AGAIN_AFTER_S = 2.0

_LOG = logging.getLogger("src.api.spot_check")


class SpotChecker:
    """Compares a random book about every ``interval`` seconds, and has a wrong one rebuilt.

    ``tickers`` lists the markets to choose from, ``read_book`` gives ours, ``resync(tickers, reason)`` asks
    the feed for fresh snapshots.
    """

    def __init__(
        self,
        client: KalshiClient,
        tickers: Callable[[], Iterable[str]],
        read_book: ReadBook,
        resync: Callable[[Sequence[str], str], Awaitable[None]],
        *,
        interval: float = 30.0,
        sleep: Sleep = asyncio.sleep,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._tickers = tickers
        self._read_book = read_book
        self._resync = resync
        self._interval = interval
        self._sleep = sleep
        self._rng = rng
        self.checked = 0
        """Comparisons that came to a verdict."""
        self.divergent = 0
        """Books that were wrong."""
        self.failed = 0
        """Comparisons that could not be made (the exchange did not answer)."""

    async def run(self) -> None:
        """Check until cancelled. Raises ``FatalError`` when the exchange refuses for good."""
        while True:
            # Half to one and a half times the interval: not in step with anything the venue does.
            await self._sleep(self._interval * (0.5 + self._rng()))
            tickers = sorted(self._tickers())
            if tickers:
                await self.check(tickers[int(self._rng() * len(tickers))])

    async def check(self, ticker: str) -> bool | None:
        """Whether our book of ``ticker`` agrees; None when that cannot be told now."""
        try:
            first = await self._differences(ticker)
            if first:
                await self._sleep(AGAIN_AFTER_S)
                again = await self._differences(ticker)
                first = None if again is None else {k: v for k, v in first.items() if again.get(k) == v}
        except FatalError:
            raise
        except (VenueError, WireError) as error:
            self.failed += 1
            _LOG.info("book of %s could not be checked: %s", ticker, error)
            return None
        if first is None:
            return None
        self.checked += 1
        if first:
            self.divergent += 1
            await self._resync((ticker,), f"{len(first)} levels differ from the exchange's book")
        return not first

    async def _differences(self, ticker: str) -> Sizes | None:
        """Our sizes where they stood still and the exchange's differ; None without a book of ours."""
        before = self._read_book(ticker)
        if before is None:
            return None
        answer = await self._client.orderbook(ticker)
        theirs = _sizes(to_levels(answer.yes_dollars, answer.no_dollars))
        after = self._read_book(ticker)
        if after is None:
            return None
        ours, now = _sizes(before), _sizes(after)
        return {
            level: ours.get(level, 0)
            for level in ours.keys() | theirs.keys()
            if ours.get(level, 0) == now.get(level, 0) != theirs.get(level, 0)
        }


def _sizes(book: tuple[Levels, Levels]) -> Sizes:
    bids, asks = book
    sizes = {(BookSide.BID, price): count for price, count in bids}
    return sizes | {(BookSide.ASK, price): count for price, count in asks}
