"""The journal's writer: audit records in order, in batches, one transaction each.

A failed batch ends the process (it is a core service): what the engine did is in the exchange's records,
and start-up rebuilds from them, but trading on without a journal is not an option.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from src.core.actions import AuditRecord
from src.core.events import DailyMaximum, ForecastUpdate
from src.core.ports import Store

_LIMIT = 200_000
_BATCH = 2_000


class StoreWriter:
    """Collects records; ``run`` writes them; ``flushed`` waits until all are written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # What one event caused stays together: it is written in one transaction, or not at all.
        self._groups: deque[Sequence[AuditRecord]] = deque()
        self._queued = 0
        self._weather: list[ForecastUpdate | DailyMaximum] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> int:
        """Records not yet written."""
        return self._queued + len(self._weather)

    def put(self, records: Sequence[AuditRecord]) -> None:
        """Queue what one event caused. Raises when the store has fallen hopelessly behind."""
        self._check_room()
        self._groups.append(records)
        self._queued += len(records)
        self._signal()

    def put_weather(self, item: ForecastUpdate | DailyMaximum) -> None:
        """Queue a forecast or a daily maximum, to be kept as first seen."""
        self._check_room()
        self._weather.append(item)
        self._signal()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._groups or self._weather:
                weather, self._weather = self._weather[:_BATCH], self._weather[_BATCH:]
                await self._write(weather, self._batch())
            self._idle.set()

    def _batch(self) -> list[AuditRecord]:
        """Whole groups, in order, up to about ``_BATCH`` records."""
        records: list[AuditRecord] = []
        while self._groups and len(records) < _BATCH:
            records += self._groups.popleft()
        self._queued -= len(records)
        return records

    async def flushed(self) -> None:
        """Wait until everything queued so far is in the store."""
        await self._idle.wait()

    async def _write(
        self, weather: Sequence[ForecastUpdate | DailyMaximum], records: Sequence[AuditRecord]
    ) -> None:
        forecasts = [item for item in weather if isinstance(item, ForecastUpdate)]
        maxima = [item for item in weather if isinstance(item, DailyMaximum)]
        if maxima:
            await self._store.put_maxima(maxima)
        if forecasts:
            await self._store.put_forecasts(forecasts)
        if records:
            await self._store.append(records)

    def _check_room(self) -> None:
        if self.waiting >= _LIMIT:
            raise RuntimeError(f"{_LIMIT} records wait for the database: it does not keep up")

    def _signal(self) -> None:
        self._idle.clear()
        self._wake.set()
