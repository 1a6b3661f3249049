"""The stage of a drill: the lives of a real daemon over loopback against a faulty exchange."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from src.api.aiohttp_transport import AiohttpTransport
from src.api.client import KalshiClient
from src.api.feed import KalshiFeed
from src.api.gateway import KalshiGateway
from src.api.signing import Signer, load_private_key
from src.api.status_source import StatusSource
from src.core.actions import TradingState
from src.core.errors import TradingSystemError
from src.core.events import BookInvalid, Event
from src.core.units import MILLISECOND, SECOND
from src.database.durable import DurableStore
from src.database.fallback import FallbackFile
from src.database.store import PostgresStore
from src.execution.engine import Engine
from src.execution.limits import ExitPolicy, ReconcilePolicy, RiskLimits
from src.runtime.assemble import DAEMON_LOCK
from src.runtime.clocks import wall_ms
from src.runtime.daemon import Daemon
from src.runtime.drill_watch import DrillStrategy, DrillWatch, WatchedGateway
from src.runtime.drill_world import SERIES, TICKERS, DrillWorld
from src.runtime.kill_switch import KillSwitch
from src.runtime.supervisor import Supervisor
from src.simulator.faults import FaultPlan
from src.simulator.service import SimulatorService

# How long anything expected may take before the drill has failed.
PATIENCE_S = 20.0
POLL_S = 0.02
_TICK_S = 0.1
_BALANCE_READS = 1_000.0
# Intervals and ages are shortened, so that a drill takes seconds; amounts and counts are the user's own.
POLICY = ReconcilePolicy(
    interval=500 * MILLISECOND, grace=2 * SECOND, retry_after=200 * MILLISECOND, overlap=60 * SECOND
)


class DrillFailed(TradingSystemError):
    """What should have happened did not, or what must not happen did."""


def drill_limits(limits: RiskLimits) -> RiskLimits:
    """The user's limits with ages that a drill can wait for."""
    return replace(limits, max_account_age=3 * SECOND, max_feed_lag=1 * SECOND)


async def _short(seconds: float) -> None:
    """Back-offs are tested elsewhere: here they only cost time."""
    await asyncio.sleep(min(seconds, 0.2))


class Stage:
    """One fault's stage. ``start`` and ``crash`` begin and cut off a life of the daemon; the store stays."""

    def __init__(self, limits: RiskLimits, url: str, schema: str, folder: Path, seed: int) -> None:
        self.limits = drill_limits(limits)
        self.url, self.schema = url, schema
        self.plan = FaultPlan(seed=seed)
        self._folder = folder
        self.kill_file = folder / f"{schema}.HALT"
        self.kill_file.unlink(missing_ok=True)
        self.service = SimulatorService(
            DrillWorld(time.time_ns()),
            folder / f"{schema}.pem",
            seed=seed,
            speed=1.0,
            key_type="ed25519",
            faults=self.plan,
        )
        self.clock = self.service.driver.clock
        self.watch = DrillWatch()
        self.strategy = DrillStrategy()
        self.kill_switch: Callable[[], str] = KillSwitch(self.kill_file).look
        self.ended: BaseException | None = None
        self._task: asyncio.Task[None] | None = None
        self._lives = 0

    # --- lives -----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Start the exchange."""
        await self.service.start()

    async def start(self, *, until_active: bool = True) -> None:
        """Begin a life of the daemon on the same store; by default wait until it may trade."""
        self._lives += 1
        service = self.service
        signer = Signer(service.key_id, load_private_key(str(service.private_key_path)), wall_ms)
        self.store = await PostgresStore.open(self.url, self.schema)
        self._fallback = FallbackFile(self._folder, self.schema, await self.store.lock(DAEMON_LOCK))
        self.client = KalshiClient(service.rest_url, signer, transport=AiohttpTransport())
        self.client.budget.balance.resize(_BALANCE_READS, _BALANCE_READS)
        self.strategy = DrillStrategy(self._lives)
        policies = {self.strategy.name: ExitPolicy(price_stop=False)}
        self.engine = Engine([self.strategy], self.limits, POLICY, policies)
        self.feed = KalshiFeed(
            service.ws_url,
            signer,
            self.client,
            self.clock,
            series=[SERIES],
            on_bad=self.watch.count_bad,
            probe_after=0.4,
            silence_limit=1.5,
            sleep=_short,
        )
        status = StatusSource(self.client, self.clock, interval=0.25, watches_clock=True, sleep=asyncio.sleep)
        gateway = WatchedGateway(KalshiGateway(self.client, self.clock), self.engine, self.watch)
        await self.feed.watch((await self.store.ledger()).counts)
        self.daemon = Daemon(
            engine=self.engine,
            clock=self.clock,
            store=DurableStore(self.store, self._fallback),
            gateway=gateway,
            sources={"market": self._market, "exchange": status.stream},
            notifier=self.watch,
            readers=(self.watch,),
            resync=self.feed.resync,
            on_latency=lambda _: None,
            tick_interval=_TICK_S,
            kill_switch=self._look,
        )
        self.daemon.supervisor = Supervisor(sleep=_short)
        self.ended = None
        self._task = asyncio.create_task(self._live(), name=f"drill daemon {self.schema}")
        if until_active:
            await self.until(self._may_trade, "the daemon active, with books")

    async def crash(self) -> None:
        """End this life as ``kill -9`` does: nothing is flushed, cancelled or said any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            calls = tuple(self.daemon.executor.calls)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            await self.client.aclose()
            self._fallback.close()
            await self.store.close()

    async def close(self) -> None:
        """Stop everything."""
        await self.crash()
        await self.service.stop()
        self.kill_file.unlink(missing_ok=True)
        self.service.private_key_path.unlink(missing_ok=True)

    async def _live(self) -> None:
        try:
            await self.daemon.run()
        except Exception as error:  # a drill may want exactly this; otherwise ``until`` tells
            self.ended = error

    async def _market(self) -> AsyncIterator[Event]:
        async for event in self.feed.stream():
            self.watch.doubts += isinstance(event, BookInvalid)
            yield event

    def _look(self) -> str:
        return self.kill_switch()

    def _may_trade(self) -> bool:
        return self.engine.control.state is TradingState.ACTIVE and all(
            self.engine.book(ticker) is not None for ticker in TICKERS
        )

    async def until(self, condition: Callable[[], bool], what: str, *, may_end: bool = False) -> None:
        """Wait for something expected. Raises ``DrillFailed`` naming it."""
        limit = time.monotonic() + PATIENCE_S
        while not condition():
            if self.ended is not None and not may_end:
                raise DrillFailed(f"the daemon ended: {type(self.ended).__name__}: {self.ended}")
            if time.monotonic() > limit:
                raise DrillFailed(f"not within {PATIENCE_S:g} s: {what}")
            await asyncio.sleep(POLL_S)

    @property
    def is_alive(self) -> bool:
        """Whether a life of the daemon goes on."""
        return self._task is not None and not self._task.done()

    async def ends(self) -> None:
        """Wait for the end of this life, as long as anything expected may take."""
        with suppress(asyncio.CancelledError):
            if self._task is not None:
                await asyncio.wait({self._task}, timeout=PATIENCE_S)
