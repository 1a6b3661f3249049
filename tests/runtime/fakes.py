"""Fakes for the ports: a store in memory, a gateway that answers what it is told, a notifier that keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from src.core.actions import Alert, AmendOrder, AuditRecord, CancelOrder, StateChanged, StoredState
from src.core.errors import StoreUnavailableError
from src.core.events import (
    AccountReport,
    AmendAnswered,
    CancelAnswered,
    DailyMaximum,
    Event,
    ForecastUpdate,
    OrderAccepted,
    OrderRejected,
    OrderUnknown,
)
from src.core.ports import ApprovedOrder
from src.core.units import DOLLAR_CASH, Nanos

Answer = OrderAccepted | OrderRejected | OrderUnknown


class MemoryStore:
    """Keeps everything in lists; ``broken`` makes intents fail, as a stopped database does."""

    def __init__(self, state: StoredState | None = None) -> None:
        self.state = state or StoredState()
        self.intents: list[str] = []
        self.records: list[AuditRecord] = []
        self.forecasts: list[ForecastUpdate] = []
        self.maxima: list[DailyMaximum] = []
        self.broken = False
        self.held: list[StateChanged] = []
        self.aside: list[AuditRecord] = []
        self.away = 0
        self.attempts: list[int] = []

    async def put_intent(self, approved: ApprovedOrder) -> None:
        """Keep the intent's id."""
        if self.away:
            raise StoreUnavailableError("connection refused")
        if self.broken:
            raise ConnectionError("database is down")
        self.intents.append(approved.intent.client_order_id)

    async def append(self, records: Sequence[AuditRecord]) -> None:
        """Keep the records; fails ``away`` times first."""
        self.attempts.append(len(records))
        if self.away:
            self.away -= 1
            raise StoreUnavailableError("connection refused")
        self.records += records

    def hold_state(self, record: StateChanged) -> None:
        """Keep a state that the journal did not take."""
        self.held.append(record)

    def set_aside(self, records: Sequence[AuditRecord]) -> None:
        """Keep what was never written."""
        self.aside += records

    async def put_forecasts(self, forecasts: Sequence[ForecastUpdate]) -> None:
        """Keep the forecasts."""
        self.forecasts += forecasts

    async def put_maxima(self, maxima: Sequence[DailyMaximum]) -> None:
        """Keep the daily maxima."""
        self.maxima += maxima

    async def load(self) -> StoredState:
        """The state given at construction."""
        return self.state


class ScriptedGateway:
    """Answers submits with ``answer``; remembers what it was asked, in order."""

    def __init__(self, answer: Callable[[ApprovedOrder], Answer], now: Nanos) -> None:
        self._answer = answer
        self._now = now
        self.asked: list[str] = []
        self.submitted: list[ApprovedOrder] = []
        self.cancelled: list[str] = []
        self.reports = 0
        self.hold: asyncio.Event | None = None
        self.broken: Exception | None = None

    async def submit(self, approved: ApprovedOrder) -> Answer:
        """Answer once."""
        self.asked.append("submit")
        if self.hold is not None:
            await self.hold.wait()
        self.submitted.append(approved)
        return self._answer(approved)

    async def cancel(self, order: CancelOrder) -> CancelAnswered:
        """Every cancel works."""
        self.asked.append("cancel")
        self.cancelled.append(order.client_order_id)
        return CancelAnswered(order.client_order_id, "canceled", "", self._now)

    async def amend(self, order: AmendOrder) -> AmendAnswered:
        """Every amendment works."""
        self.asked.append("amend")
        return AmendAnswered(
            order.client_order_id, "amended", order.count, order.expiration_ts, "", self._now, self._now
        )

    async def report(self, since: Nanos) -> AccountReport:
        """An empty account with a thousand dollars."""
        self.asked.append("report")
        if self.broken is not None:
            raise self.broken
        self.reports += 1
        return AccountReport(
            (), (), (), (), 1_000 * DOLLAR_CASH, self._now, self._now, self._now, at_once=True
        )


class KeepingNotifier:
    """Keeps alerts."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    def send(self, alert: Alert) -> None:
        """Keep it."""
        self.alerts.append(alert)


class QueueSource:
    """A source fed by the test."""

    def __init__(self, events: Sequence[Event] = ()) -> None:
        self.queue: asyncio.Queue[Event] = asyncio.Queue()
        for event in events:
            self.queue.put_nowait(event)

    async def stream(self) -> AsyncIterator[Event]:
        """Yield what the test put in."""
        while True:
            yield await self.queue.get()
