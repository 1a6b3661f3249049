"""The one way into the engine: two bounded lanes, the urgent one always first.

At the limit: the market lane makes its feeds wait (the exchange's stream then lags, and the lag gate
stops trading); the urgent lane never drops and never waits, so overflowing it ends the process, whose
start-up recovers the account from the exchange's records.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from src.core.events import (
    BookDelta,
    BookDeltas,
    BookSnapshot,
    DailyMaximum,
    Event,
    ForecastUpdate,
    MarketUpdate,
    NewsItem,
    ObservationUpdate,
    PublicTrade,
)
from src.core.units import Nanos

_MARKET_LANE = (
    BookDelta,
    BookDeltas,
    BookSnapshot,
    PublicTrade,
    MarketUpdate,
    ForecastUpdate,
    DailyMaximum,
    ObservationUpdate,
    NewsItem,
)


class Inbox:
    """Events with the monotonic instant they came in, for latency measurement."""

    def __init__(self, market_limit: int = 20_000, urgent_limit: int = 20_000) -> None:
        self._urgent: deque[tuple[Event, Nanos]] = deque()
        self._market: deque[tuple[Event, Nanos]] = deque()
        self._market_waiting = 0  # a batch counts as its changes
        self._market_limit = market_limit
        self._urgent_limit = urgent_limit
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def depth(self) -> tuple[int, int]:
        """(urgent, market) events waiting."""
        return len(self._urgent), self._market_waiting

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._urgent and not self._market

    def put_urgent(self, event: Event) -> None:
        """Account news, commands, feed state, ticks. Never waits."""
        if len(self._urgent) >= self._urgent_limit:
            raise RuntimeError(
                f"urgent lane is full ({self._urgent_limit} events): the engine does not keep up"
            )
        self._urgent.append((event, time.perf_counter_ns()))
        self._filled.set()

    async def put(self, event: Event) -> None:
        """Put an event into its lane, waiting for room in the market lane."""
        if not isinstance(event, _MARKET_LANE):
            self.put_urgent(event)
            return
        while self._market_waiting >= self._market_limit:
            self._room.clear()
            await self._room.wait()
        self._market.append((event, time.perf_counter_ns()))
        self._market_waiting += _weight(event)
        self._filled.set()

    async def get(self) -> tuple[Event, Nanos]:
        """The next event and when it came in (``perf_counter_ns``)."""
        while self.is_empty:
            self._filled.clear()
            await self._filled.wait()
        if self._urgent:
            return self._urgent.popleft()
        item = self._market.popleft()
        self._market_waiting -= _weight(item[0])
        if self._market_waiting < self._market_limit:
            self._room.set()
        return item


def _weight(event: Event) -> int:
    return len(event) if type(event) is BookDeltas else 1
