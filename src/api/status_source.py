"""The exchange's state, its schedule and our clock's offset, as events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from src.api.budget import Sleep
from src.api.client import KalshiClient
from src.api.convert import to_exchange_status
from src.api.schedule import closed_times
from src.core.errors import FatalError, VenueError, WireError
from src.core.events import ClockOffset, Event, ExchangeSchedule, FeedDown, FeedUp
from src.core.ports import Clock
from src.core.units import HOUR, MILLISECOND, MINUTE, SECOND, Nanos

FEED = "exchange"
WARN_OFFSET: Nanos = 500 * MILLISECOND
# Maintenance is announced days ahead; what was read last stands while a new read fails.
SCHEDULE_INTERVAL: Nanos = HOUR
SCHEDULE_RETRY: Nanos = MINUTE

_LOG = logging.getLogger("src.api.status")


class StatusSource:
    """Reads the exchange's status every ``interval`` seconds and its schedule every hour.

    ``watches_clock``: whether the offset of our clock means anything (a simulated exchange may run on a time
    of its own). An offset of certainly more than half a second is warned of once, until it is gone.
    """

    def __init__(
        self,
        client: KalshiClient,
        clock: Clock,
        *,
        interval: float = 5.0,
        watches_clock: bool = True,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._client = client
        self._clock = clock
        self._interval = interval
        self._watches_clock = watches_clock
        self._sleep = sleep
        self._is_up = False
        self._warned = False
        self._next_schedule: Nanos = 0

    async def stream(self) -> AsyncIterator[Event]:
        """Yield ``ExchangeStatus``, ``ClockOffset`` and ``ExchangeSchedule`` until cancelled.

        A status that cannot be read is a ``FeedDown``.

        Raises ``FatalError`` when the exchange refuses for good.
        """
        while True:
            for event in [*await self._read(), *await self._read_schedule()]:
                yield event
            await self._sleep(self._interval)

    async def _read(self) -> list[Event]:
        try:
            status = to_exchange_status(await self._client.exchange_status(), self._clock.now())
        except FatalError:
            raise
        except (VenueError, WireError) as error:
            self._is_up = False
            return [FeedDown(FEED, str(error), self._clock.now())]
        events: list[Event] = [] if self._is_up else [FeedUp(FEED, self._clock.now())]
        self._is_up = True
        offset = self._client.clock_offset if self._watches_clock else None
        if offset is not None:
            events.append(ClockOffset(offset, self._clock.now()))
            self._warn(offset)
        return [*events, status]

    async def _read_schedule(self) -> list[Event]:
        now = self._clock.now()
        if now < self._next_schedule:
            return []
        try:
            closed = closed_times(await self._client.exchange_schedule(), now)
        except FatalError:
            raise
        except (VenueError, WireError) as error:
            self._next_schedule = now + SCHEDULE_RETRY
            _LOG.warning("the exchange's schedule cannot be read, the last one stands: %s", error)
            return []
        self._next_schedule = now + SCHEDULE_INTERVAL
        return [ExchangeSchedule(closed, self._clock.now())]

    def _warn(self, offset: Nanos) -> None:
        is_far = self._client.least_clock_offset > WARN_OFFSET
        if is_far and not self._warned:
            _LOG.warning(
                "this machine's clock is %+.2f s from the exchange's: synchronise it (NTP)", offset / SECOND
            )
        self._warned = is_far
