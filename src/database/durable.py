"""The store of the daemon: the database, and a local file for what cannot wait until it answers.

While the database does not answer an entry is refused at once, and an exit is committed to the fallback
journal instead, with the fencing number known then. At the next contact, and at every start, what is held
goes into the database before anything else. If neither can be written there is no order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from src.core.actions import AuditRecord, StateChanged, StoredState
from src.core.errors import IntentTakenError, StoreUnavailableError
from src.core.events import DailyMaximum, ForecastUpdate
from src.core.ports import ApprovedOrder
from src.core.signal import Purpose
from src.database.errors import DuplicateOrder
from src.database.held import HeldBatch, HeldEntry, HeldIntent, HeldState

# A failure older than this says nothing about now: the process may have been frozen since.
RECHECK_S = 2.0
# How long an exit waits for a database that neither answers nor fails, a frozen one. Then it goes by the
# fallback journal, long before the executor would withdraw it (``MAX_COMMIT_TO_SEND_S``).
EXIT_PATIENCE_S = 2.0

log = structlog.get_logger("store")


class Primary(Protocol):
    """The database, as ``PostgresStore`` is one. Its failures are ``StoreUnavailableError``."""

    @property
    def fence(self) -> int:
        """The fencing number of this instance."""

    @property
    def next_batch(self) -> int:
        """The number of the batch that ``append`` writes next."""

    async def put_intent(self, approved: ApprovedOrder) -> None:
        """Commit an order's row."""

    async def append(self, records: Sequence[AuditRecord]) -> None:
        """Commit records in one transaction, once."""

    async def replay(self, entries: Sequence[HeldEntry]) -> None:
        """Put in what was held, in order; a repetition changes nothing."""

    async def put_forecasts(self, forecasts: Sequence[ForecastUpdate]) -> None:
        """Keep forecasts as first seen."""

    async def put_maxima(self, maxima: Sequence[DailyMaximum]) -> None:
        """Keep daily maxima as first seen."""

    async def load(self) -> StoredState:
        """Everything needed to come back from a crash."""


class Fallback(Protocol):
    """A local journal, as ``FallbackFile`` is one. Its failures are ``OSError``."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held."""

    @property
    def entries(self) -> tuple[HeldEntry, ...]:
        """What is held, in order."""

    def append(self, entry: HeldEntry) -> None:
        """Hold an entry for good."""

    def clear(self) -> None:
        """Forget what is held."""


class DurableStore:
    """Implements ``core.ports.Store``. ``recover`` before anything is read at a start.

    ``revive`` is called before each attempt to reach a database that did not answer: it starts the embedded
    server again when that is gone.
    """

    def __init__(
        self, primary: Primary, fallback: Fallback, revive: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._primary = primary
        self._fallback = fallback
        self._revive = revive
        self._down = False
        self._failed_at = 0.0
        self._set_aside = 0

    async def recover(self) -> None:
        """Put what an earlier run held into the database. Raises ``StoreUnavailableError``."""
        done = 0
        # An exit may be held while we replay: what is cleared must be in the database.
        while entries := self._fallback.entries[done:]:
            await self._primary.replay(entries)
            done += len(entries)
        if done:
            self._fallback.clear()
            log.info("fallback_replayed", entries=done)

    async def load(self) -> StoredState:
        """Everything needed to come back from a crash, what was held locally included."""
        await self.recover()
        return await self._primary.load()

    async def put_intent(self, approved: ApprovedOrder) -> None:
        """Commit the order's row before it is sent: in the database, an exit else in the fallback journal."""
        intent = approved.intent
        if intent.purpose is not Purpose.EXIT:
            failure = await self._try_primary(approved, attempts=1)
            if failure is not None:
                raise failure
            return
        try:
            async with asyncio.timeout(EXIT_PATIENCE_S):
                if await self._try_primary(approved, attempts=2) is None:
                    return
        except TimeoutError:
            self._note_failure()
        try:
            self._fallback.append(HeldIntent(self._primary.fence, intent, approved.reserved))
        except OSError as error:
            raise StoreUnavailableError(
                f"neither database nor fallback journal can be written ({error.strerror}): no order leaves"
            ) from error
        log.warning("exit_held", order=intent.client_order_id, ticker=intent.ticker)

    async def _try_primary(self, approved: ApprovedOrder, attempts: int) -> StoreUnavailableError | None:
        """Put the row into the database; the failure if it does not answer.

        An exit gets a second attempt, on a new connection: the first may only have found one that died while
        we were frozen or cut off, and the database has to be asked whether we were replaced meanwhile.
        """
        if self._down and asyncio.get_running_loop().time() - self._failed_at < RECHECK_S:
            return StoreUnavailableError("the database does not answer")
        failure: StoreUnavailableError | None = None
        for _ in range(attempts):
            try:
                await self._primary.put_intent(approved)
                return None
            except StoreUnavailableError as error:
                failure = error
            except DuplicateOrder as error:
                if failure is not None:
                    return None  # the attempt before was committed, only its answer was lost
                if approved.intent.purpose is not Purpose.EXIT:
                    raise
                # An instance that this one replaced sent it meanwhile by its fallback journal.
                raise IntentTakenError(f"sent by another instance: {error}") from error
        self._note_failure()
        return failure

    def _note_failure(self) -> None:
        self._down = True
        self._failed_at = asyncio.get_running_loop().time()

    async def append(self, records: Sequence[AuditRecord]) -> None:
        """Persist records once; after an outage what was held goes first."""
        if self._down and self._revive is not None:
            await self._revive()
        try:
            await self.recover()
            await self._primary.append(records)
        except StoreUnavailableError:
            self._note_failure()
            raise
        self._down = False

    async def put_forecasts(self, forecasts: Sequence[ForecastUpdate]) -> None:
        """Keep forecasts as first seen (repetitions are ignored)."""
        await self._primary.put_forecasts(forecasts)

    async def put_maxima(self, maxima: Sequence[DailyMaximum]) -> None:
        """Keep observed daily maxima as first seen (repetitions are ignored)."""
        await self._primary.put_maxima(maxima)

    def hold_state(self, record: StateChanged) -> None:
        """Keep a trading state locally while the database does not answer. Raises ``OSError``."""
        self._fallback.append(HeldState(self._primary.fence, record))

    def set_aside(self, records: Sequence[AuditRecord]) -> None:
        """Keep a batch of records locally, the doubtful one first. Raises ``OSError``."""
        number = self._primary.next_batch + self._set_aside
        self._fallback.append(HeldBatch(self._primary.fence, number, tuple(records)))
        self._set_aside += 1
