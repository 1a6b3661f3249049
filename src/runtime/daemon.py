"""The shell around the engine: sources in, calls out, records to their readers, staged start and stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import structlog

from src.core.actions import (
    Alert,
    AmendOrder,
    AuditRecord,
    CancelOrder,
    RequestReport,
    RequestSnapshot,
    TradingState,
)
from src.core.events import (
    Command,
    CommandKind,
    DailyMaximum,
    Event,
    FeedDown,
    ForecastUpdate,
    KillSwitch,
    StoreHealth,
    Tick,
)
from src.core.ports import ApprovedOrder, Clock, Notifier, OrderGateway, Store
from src.core.units import SECOND, Nanos
from src.execution.engine import Action, Engine
from src.execution.executor import Executor
from src.execution.risk import Approved
from src.runtime.inbox import Inbox
from src.runtime.kill_switch import KillSwitchWatch
from src.runtime.session_tape import SessionTape
from src.runtime.staged_stop import stop_in_stages
from src.runtime.supervisor import Service, Supervisor
from src.runtime.writer import StoreLostError, StoreWriter

log = structlog.get_logger("daemon")


class Reader(Protocol):
    """A reader of the audit stream (metrics, terminal view, report)."""

    def observe(self, record: AuditRecord) -> None:
        """Take note of a record. Must not block or raise."""


class Daemon:
    """One engine, its adapters and its tasks. ``run`` returns after a clean stop."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        store: Store,
        gateway: OrderGateway,
        sources: Mapping[str, Callable[[], AsyncIterator[Event]]],
        notifier: Notifier,
        readers: Sequence[Reader],
        resync: Callable[[Sequence[str], str], Awaitable[None]],
        on_latency: Callable[[Nanos], None],
        tick_interval: float | None = 1.0,
        services: Sequence[Service] = (),
        history: Sequence[Event] = (),
        kill_switch: Callable[[], str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        outage_limit_s: float = 120.0,
        tape: SessionTape | None = None,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.inbox = Inbox()
        self.writer = StoreWriter(store, self._store_health, outage_limit_s)
        self.executor = Executor(
            gateway,
            store,
            clock,
            self.inbox.put_urgent,
            self._sent,
            self._failed,
            resync,
            engine.withdrawn,
            monotonic,
        )
        self.supervisor = Supervisor(on_broken=self._broken)
        self._store = store
        self._sources = sources
        self.notifier = notifier
        self._readers = readers
        self._on_latency = on_latency
        self._tick_interval = tick_interval
        self._services = [replace(each, on_refused=self._refused(each.name)) for each in services]
        self._history = history
        self._kill_switch = None if kill_switch is None else KillSwitchWatch(kill_switch, self._told_to_stop)
        self._tape = tape
        self._cause_ns: dict[str, Nanos] = {}
        self._failure: asyncio.Future[None] | None = None
        self._stop = asyncio.Event()
        self._halt_cleared = asyncio.Event()
        self._handling_since: Nanos = 0
        self.last_handled: float = time.monotonic()
        self.handled = 0

    # --- life ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Start, work until ``stop`` is called or something fatal happens, then stop in stages."""
        self._failure = asyncio.get_running_loop().create_future()
        stored = await self._store.load()
        core = [
            Service("engine", self._engine_loop, core=True),
            Service("writer", self.writer.run, core=True),
        ]
        if self._tick_interval is not None:
            core.append(Service("ticker", self._ticker, core=True))
        if self._kill_switch is not None:
            core.append(Service("kill switch", self._kill_switch.run, core=True))
        feeds = [self._source_service(name) for name in self._sources]
        lasting = (*core, *self._services)
        tasks = {asyncio.create_task(self.supervisor.run(service), name=service.name) for service in lasting}
        # What was known before this start teaches the strategies; there is nothing yet they could trade.
        for event in self._history:
            self._handle(event, time.perf_counter_ns())
        now = self.clock.now()
        if self._tape is not None:
            self._tape.begin(stored, now)
        self.dispatch(self.engine.start(stored, now), time.perf_counter_ns())
        if self._kill_switch is not None:
            self._kill_switch.look()  # before anything can be answered that an order could rest on
        sources = {asyncio.create_task(self.supervisor.run(service), name=service.name) for service in feeds}
        stopper = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            watched: set[asyncio.Future[Any]] = {*tasks, *sources, stopper, self._failure}
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            lost = self._store_lost(tasks)
            if lost is not None:
                # The next start must find a halt: nobody knows yet how long the account was not written down.
                self._halt("store", str(lost))
            if self._stop.is_set() or lost is not None:
                await stop_in_stages(self, sources)
            self._raise_first({*tasks, *sources})
        finally:
            for task in (*tasks, *sources, stopper):
                task.cancel()
            await asyncio.gather(*tasks, *sources, stopper, return_exceptions=True)
            if not self._failure.done():
                self._failure.cancel()
            self._set_aside()

    def add_service(self, service: Service) -> None:
        """A service that needs the daemon itself; to be added before ``run``."""
        self._services.append(service)

    def stop(self) -> None:
        """Begin the staged stop."""
        self._stop.set()

    def inject(self, event: Event) -> None:
        """Put a control event (tick, command) into the urgent lane."""
        self.inbox.put_urgent(event)

    @property
    def is_quiet(self) -> bool:
        """Nothing waits and nothing is under way here."""
        return self.inbox.is_empty and not self.executor.in_flight and not self._handling_since

    # --- services ------------------------------------------------------------------------------

    async def _engine_loop(self) -> None:
        while True:
            event, came_in = await self.inbox.get()
            self._handling_since = came_in
            if isinstance(event, ForecastUpdate | DailyMaximum):
                self.writer.put_weather(event)
            self._handle(event, came_in)
            is_clearing = isinstance(event, Command) and event.kind is CommandKind.CLEAR_HALT
            if is_clearing and self.engine.control.state is not TradingState.HALTED:
                # Those who wait go on now; whoever waits later waits for the next one.
                self._halt_cleared.set()
                self._halt_cleared.clear()
            self._handling_since = 0
            self.handled += 1
            self.last_handled = time.monotonic()
            if not self.handled % 256:
                await asyncio.sleep(0)  # a burst must not starve the sockets

    def _handle(self, event: Event, came_in: Nanos) -> None:
        if self._tape is not None:
            self._tape.event(event)
        self.dispatch(self.engine.handle(event), came_in)

    async def _ticker(self) -> None:
        assert self._tick_interval is not None
        while True:
            self.inbox.put_urgent(Tick(self.clock.now()))
            await asyncio.sleep(self._tick_interval)

    def _told_to_stop(self, reason: str, *, is_news: bool) -> None:
        # The same reason is not told again, but a state that should be halted and is not is.
        if is_news or (reason and self.engine.control.state is not TradingState.HALTED):
            self.inbox.put_urgent(KillSwitch(reason, self.clock.now()))

    def _source_service(self, name: str) -> Service:
        async def pump() -> None:
            async for event in self._sources[name]():
                await self.inbox.put(event)

        def down(reason: str) -> None:
            self.inbox.put_urgent(FeedDown(name, reason, self.clock.now()))

        return Service(name, pump, on_down=down, on_refused=self._refused(name))

    def _refused(self, name: str) -> Callable[[str], Awaitable[None]]:
        """The exchange refuses ``name`` until a person acts: the engine halts, and here we wait for them."""

        async def wait(reason: str) -> None:
            self.inbox.put_urgent(FeedDown(name, reason, self.clock.now(), fatal=True))
            await self._halt_cleared.wait()

        return wait

    # --- actions out ---------------------------------------------------------------------------

    def dispatch(self, actions: Sequence[Action], came_in: Nanos) -> None:
        """Carry out what the engine asked for, in order."""
        records: list[AuditRecord] = []
        for action in actions:
            match action:
                case Approved():
                    if self._tape is not None:
                        self._tape.approved(action, self.engine.now)
                    self._cause_ns[action.intent.client_order_id] = came_in
                    self.executor.submit(action)
                case CancelOrder():
                    self.executor.cancel(action)
                case AmendOrder():
                    self.executor.amend(action)
                case RequestReport():
                    self.executor.report(action)
                case RequestSnapshot():
                    self.executor.resync(action)
                case Alert():
                    self.notifier.send(action)
                case _:
                    if self._tape is not None:
                        self._tape.observe(action)
                    records.append(action)
                    for reader in self._readers:
                        reader.observe(action)
        if records:
            self.writer.put(records)

    def _sent(self, approved: ApprovedOrder) -> None:
        came_in = self._cause_ns.pop(approved.intent.client_order_id, None)
        if came_in is not None:
            self._on_latency(time.perf_counter_ns() - came_in)

    def _failed(self, error: BaseException) -> None:
        log.error("call_failed", error=f"{type(error).__name__}: {error}")
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)

    def _raise_first(self, tasks: set[asyncio.Task[None]]) -> None:
        if self._failure is not None and self._failure.done():
            self._failure.result()
        for task in tasks:
            if task.done() and not task.cancelled():
                task.result()

    def _store_health(self, reason: str) -> None:
        self.inbox.put_urgent(StoreHealth(reason, self.clock.now()))

    def _broken(self, service: str, why: str) -> None:
        self._halt("supervisor", f"{service} {why}")

    def _halt(self, who: str, why: str) -> None:
        self.inbox.put_urgent(Command(CommandKind.HALT, who, why, self.clock.now()))

    @staticmethod
    def _store_lost(tasks: set[asyncio.Task[None]]) -> StoreLostError | None:
        for task in tasks:
            if task.done() and not task.cancelled() and isinstance(task.exception(), StoreLostError):
                return StoreLostError(str(task.exception()))
        return None

    def _set_aside(self) -> None:
        """What the database did not take goes into the fallback journal, for the next start."""
        try:
            if kept := self.writer.set_aside():
                log.warning("records_set_aside", records=kept)
        except OSError as error:
            log.error(
                "records_lost",
                records=self.writer.waiting,
                reason=str(error),
                hint="the exchange has the fills",
            )

    def idle_for(self) -> Nanos:
        """Nanoseconds since the engine last handled an event (a hung loop shows here)."""
        return int((time.monotonic() - self.last_handled) * SECOND)
