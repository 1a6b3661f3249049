"""The journal's writer: audit records in order, in batches, one transaction each.

A database that does not answer is asked again, with back-off and up to a limit: until then entries are
refused (the engine hears of it), exits go on, and records wait here in order. A batch whose answer was lost
is brought again as it was, and the store keeps it once. Past the limit ``run`` raises ``StoreLostError``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import structlog

from src.core.actions import AuditRecord, StateChanged
from src.core.errors import StoreUnavailableError, TradingSystemError
from src.core.events import DailyMaximum, ForecastUpdate
from src.core.ports import Store

_LIMIT = 200_000
_BATCH = 2_000
# An order that the same event caused is committed and sent first: the two would share the loop, the disk and
# the database's processor, and the order would take half as long again. Bursts become one transaction.
_STEP_ASIDE_S = 0.005
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0

log = structlog.get_logger("writer")


class StoreLostError(TradingSystemError):
    """The database did not come back within the limit: the process stops in stages and is started again."""


class StoreWriter:
    """Collects records; ``run`` writes them; ``flushed`` waits until all are written.

    ``on_health``: called once with the reason when the store stops answering, with "" when it answers again.
    ``outage_limit_s``: how long it may be away.
    """

    def __init__(self, store: Store, on_health: Callable[[str], None], outage_limit_s: float) -> None:
        self._store = store
        self._on_health = on_health
        self._outage_limit_s = outage_limit_s
        # What one event caused stays together: it is written in one transaction, or not at all.
        self._groups: deque[Sequence[AuditRecord]] = deque()
        self._queued = 0
        self._weather: list[ForecastUpdate | DailyMaximum] = []
        self._batch: list[AuditRecord] = []
        self._down_since: float | None = None
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> int:
        """Records not yet written."""
        return len(self._batch) + self._queued + len(self._weather)

    @property
    def is_down(self) -> bool:
        """Whether the store does not answer."""
        return self._down_since is not None

    def put(self, records: Sequence[AuditRecord]) -> None:
        """Queue what one event caused. Raises when the store has fallen hopelessly behind."""
        self._check_room()
        self._groups.append(records)
        self._queued += len(records)
        if self.is_down:
            for record in records:
                if isinstance(record, StateChanged):
                    self._hold(record)
        self._signal()

    def put_weather(self, item: ForecastUpdate | DailyMaximum) -> None:
        """Queue a forecast or a daily maximum, to be kept as first seen."""
        self._check_room()
        self._weather.append(item)
        self._signal()

    async def run(self) -> None:
        """Write until cancelled. Raises ``StoreLostError`` past the limit, and whatever no waiting mends."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(_STEP_ASIDE_S)
            while self.waiting:
                await self._write_weather()
                if not self._batch:
                    self._batch = self._next_batch()
                if self._batch:
                    await self._until_answered(lambda: self._store.append(self._batch))
                    self._batch = []
            self._idle.set()

    def _next_batch(self) -> list[AuditRecord]:
        """Whole groups, in order, up to about ``_BATCH`` records."""
        records: list[AuditRecord] = []
        while self._groups and len(records) < _BATCH:
            records += self._groups.popleft()
        self._queued -= len(records)
        return records

    async def flushed(self) -> None:
        """Wait until everything queued so far is in the store."""
        await self._idle.wait()

    def set_aside(self) -> int:
        """At the end of a process whose store does not answer: keep what waits locally. Returns how many.

        Raises ``OSError`` when that fails too; what happened is then only in the exchange's records.
        """
        if not self.is_down:
            return 0
        kept = 0
        while batch := self._batch or self._next_batch():
            self._batch = batch
            self._store.set_aside(batch)
            self._batch = []
            kept += len(batch)
        return kept

    async def _write_weather(self) -> None:
        weather, self._weather = self._weather, []
        maxima = [item for item in weather if isinstance(item, DailyMaximum)]
        forecasts = [item for item in weather if isinstance(item, ForecastUpdate)]
        for start in range(0, len(maxima), _BATCH):
            part = maxima[start : start + _BATCH]
            await self._until_answered(lambda part=part: self._store.put_maxima(part))  # type: ignore[misc]
        for start in range(0, len(forecasts), _BATCH):
            chunk = forecasts[start : start + _BATCH]
            await self._until_answered(lambda chunk=chunk: self._store.put_forecasts(chunk))  # type: ignore[misc]

    async def _until_answered(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write, as often as it takes within the limit, which is counted on monotonic time."""
        now = asyncio.get_running_loop().time
        wait = _FIRST_WAIT_S
        while True:
            try:
                await write()
                break
            except StoreUnavailableError as error:
                reason = str(error)
            except Exception:
                self._down_since = None  # it answered: another instance may have what waits here by now
                raise
            if self._down_since is None:
                self._down_since = now()
                log.error("store_down", reason=reason, limit_s=self._outage_limit_s)
                self._on_health(reason)
            away = now() - self._down_since
            if away >= self._outage_limit_s:
                raise StoreLostError(f"the database did not answer for {away:.0f} s ({reason})")
            await asyncio.sleep(wait)
            wait = min(_LONGEST_WAIT_S, wait * 2)
        if self._down_since is not None:
            log.warning("store_up", away_s=round(now() - self._down_since, 1), waiting=self.waiting)
            self._down_since = None
            self._on_health("")

    def _hold(self, record: StateChanged) -> None:
        """A halt must outlive a crash although the database has not heard of it."""
        try:
            self._store.hold_state(record)
        except OSError as error:
            log.error("state_not_held", state=record.state.value, reason=str(error))

    def _check_room(self) -> None:
        if self.waiting >= _LIMIT:
            raise RuntimeError(f"{_LIMIT} records wait for the database: it does not keep up")

    def _signal(self) -> None:
        self._idle.clear()
        self._wake.set()
