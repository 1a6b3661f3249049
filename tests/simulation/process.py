"""One life of the program: the real engine, daemon and executor on ports that can be cut off at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random

from src.core.actions import Alert, AuditRecord, StoredState
from src.core.events import DailyMaximum, Event, ForecastUpdate
from src.core.ports import ApprovedOrder
from src.core.units import Nanos
from src.database.durable import DurableStore
from src.database.held import HeldEntry
from src.execution.engine import Action, Engine
from src.execution.limits import EntryPolicy, ExitLadder, ExitPolicy, ReconcilePolicy
from src.runtime.daemon import Daemon
from src.runtime.supervisor import Supervisor
from src.runtime.writer import StoreLostError
from tests.simulation.crash_store import Committed, FencedOutError, StoreError
from tests.simulation.faulty_feed import FaultyFeed, Wire
from tests.simulation.faulty_gateway import FaultyGateway
from tests.simulation.news import NAME, NewsDesk, ScriptedStrategy
from tests.simulation.sim_venue import SimVenue
from tests.simulation.stage import ProcessClock, Stage, for_ever
from tests.simulation.watch import Watch

# Some outages of a world last longer.
OUTAGE_LIMIT_S = 20.0


class WatchedEngine(Engine):
    """The engine, with its every step shown to the watch."""

    process: Process

    def handle(self, event: Event) -> list[Action]:
        """Handle, then check."""
        if not self.process.alive:
            return []
        before = self.control.state
        actions = super().handle(event)
        self.process.watch.handled(self.process, event, actions, before)
        return actions


class Process:
    """An incarnation. After ``crash`` nothing of it reaches the outside any more."""

    def __init__(
        self,
        stage: Stage,
        venue: SimVenue,
        wire: Wire,
        news: NewsDesk,
        committed: Committed,
        watch: Watch,
        number: int,
    ) -> None:
        self.stage = stage
        self.venue = venue
        self.watch = watch
        self.number = number
        self.alive = True
        self.started = False
        self.doubted: dict[str, Nanos] = {}
        self.clock = ProcessClock(stage)
        self.committed = committed
        committed.fence += 1
        self.fence = committed.fence
        plan = stage.plan
        exits = ExitPolicy(
            price_stop=plan.stop_price,
            thesis_margin=0.05,
            profit_target=plan.profit_target,
            style=plan.style,
            ladder=ExitLadder(reprice_after=plan.reprice_after),
        )
        entries = EntryPolicy(plan.style, plan.time_to_live)
        self.engine = WatchedEngine(
            [ScriptedStrategy()], plan.limits, ReconcilePolicy(), {NAME: exits}, {NAME: entries}
        )
        self.engine.process = self
        self.feed = FaultyFeed(wire, self.clock)
        self.daemon = Daemon(
            engine=self.engine,
            clock=self.clock,
            store=DurableStore(StorePort(self), committed.local),
            gateway=FaultyGateway(stage, venue, self.clock, self, watch.on_way),
            sources={"market": self.feed.stream, "weather": lambda: news.stream(self.clock)},
            notifier=self,
            readers=(),
            resync=self.feed.resync,
            on_latency=lambda _: None,
            outage_limit_s=OUTAGE_LIMIT_S,
            monotonic=lambda: asyncio.get_running_loop().time(),
        )
        self.daemon.supervisor = Supervisor(rng=Random(f"supervisor:{plan.seed}:{number}"))
        self.task: asyncio.Task[None] | None = None
        self.end = ""

    async def run(self) -> None:
        """Live until the end: a clean stop, a crash, or a failure that ends a real process too."""
        self.task = asyncio.current_task()
        try:
            await self.daemon.run()
            self.end = "stopped"
        except asyncio.CancelledError:
            self.end = "crashed"
        except (FencedOutError, StoreLostError, StoreError) as error:
            self.end = f"store: {error}"
            if isinstance(error, StoreLostError):
                self.stage.saw("store away past the limit")
        except Exception as error:
            self.end = f"died: {type(error).__name__}: {error}"
            self.stage.violated(f"the process died: {type(error).__name__}: {error}")
        self.alive = False
        left = sorted(self.daemon.executor._tasks, key=lambda task: task.get_name())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self.stage.trace(f"process {self.number} ends: {self.end}")

    @property
    def is_ready(self) -> bool:
        """Alive, and its records were compared."""
        return self.alive and self.started and self.engine.ledger.report_ts is not None

    def crash(self, where: str) -> None:
        """Cut everything off, now."""
        if self.alive and self.task is not None:
            self.alive = False
            self.stage.trace(f"process {self.number} crashes at {where}")
            self.stage.saw(f"crash at {where}")
            self.watch.crashed(self)
            self.task.cancel()

    # --- ports ---------------------------------------------------------------------------------------

    async def point(self, name: str) -> None:
        """A place where the process may crash, or be dead already."""
        if self.alive and self.stage.hits(name, self.stage.plan.crash_at.get(name, 0.0)):
            self.crash(name)
        if not self.alive:
            await for_ever()

    def leaving(self, approved: ApprovedOrder) -> None:
        """An order is handed to the network."""
        self.watch.leaving(self, approved)

    def send(self, alert: Alert) -> None:
        """Alerts go to the trace."""
        if self.alive:
            self.stage.trace(f"alert {alert.severity.value} {alert.text[:110]}")
            self.stage.saw(f"alert {alert.key.partition(':')[0]}")


class StorePort:
    """The store as one process reaches it: slow, failing, and gone when the process is."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._stage = process.stage
        self.next_batch = 1

    @property
    def fence(self) -> int:
        """The process's fencing number."""
        return self._process.fence

    async def put_intent(self, approved: ApprovedOrder) -> None:
        """Commit an order's row."""
        process = self._process
        await self._commit("intent", lambda: process.committed.put_intent(approved, process.fence))

    async def append(self, records: Sequence[AuditRecord]) -> None:
        """Commit records, once."""
        process = self._process

        def commit() -> None:
            if process.committed.append(records, process.fence, self.next_batch):
                process.watch.stored(process, records)

        await self._commit("records", commit)
        self.next_batch += 1

    async def replay(self, entries: Sequence[HeldEntry]) -> None:
        """Put in what was held locally."""
        process = self._process

        def commit() -> None:
            process.watch.replayed(process.committed.replay(entries, process.fence))

        await self._commit("records", commit)
        self._stage.saw("held entries replayed")

    async def put_forecasts(self, forecasts: Sequence[ForecastUpdate]) -> None:
        """Forecasts are not looked at here."""

    async def put_maxima(self, maxima: Sequence[DailyMaximum]) -> None:
        """There are none here."""

    async def load(self) -> StoredState:
        """Read everything."""
        if self._stage.store_is_away:
            self._stage.saw("start while the store is away")
            await asyncio.sleep(0.5)
            raise StoreError("connection refused")
        await asyncio.sleep(0.01)
        await self._process.point("load: done")
        self._process.started = True
        return self._process.committed.load()

    async def _commit(self, what: str, commit: Callable[[], None]) -> None:
        stage, plan = self._stage, self._stage.plan
        if stage.store_is_away:
            stage.saw("store away")
            await asyncio.sleep(0.5)
            await self._process.point(f"{what}: before commit")
            raise StoreError("connection refused")
        slow = stage.hits("store_slow", plan.store_slow)
        if slow:
            stage.saw("store slow")
        longest = 20.0 if what == "intent" else 8.0
        await asyncio.sleep(stage.dice("store_slow").uniform(0.5, longest) if slow else 0.002)
        await self._process.point(f"{what}: before commit")
        if stage.hits("store_fails", plan.store_fails):
            stage.saw("store failed before commit")
            raise StoreError("connection lost")
        commit()
        await self._process.point(f"{what}: after commit")
        if stage.hits("store_fails", plan.store_fails):
            stage.saw("store failed after commit")
            raise StoreError("connection lost")
