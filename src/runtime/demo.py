"""The demo: daemon, simulated exchange and Postgres in one process, over the real wire, in lockstep.

World time moves only while the daemon is quiet: everything the exchange sent has been handled, every
call has been answered. The same seed therefore gives the same orders, however fast the machine is.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from src.api.client import KalshiClient
from src.api.feed import KalshiFeed
from src.api.gateway import KalshiGateway
from src.api.signing import Signer, load_private_key
from src.core.actions import TradingState
from src.core.errors import TradingSystemError
from src.core.events import Tick
from src.core.market import MarketStatus
from src.core.units import DOLLAR_CASH, MINUTE, SECOND, Cash, Nanos
from src.database.durable import DurableStore
from src.database.fallback import FallbackFile
from src.execution.limits import ReconcilePolicy
from src.monitoring.metrics import Metrics
from src.monitors.simulated_weather import SimulatedWeatherSource
from src.runtime.assemble import Database, build_engine, open_database, risk_limits
from src.runtime.book_check import ledger_differences
from src.runtime.clocks import ManualClock, wall_ms
from src.runtime.control_drills import require_controls
from src.runtime.daemon import Daemon
from src.runtime.demo_view import DemoView
from src.runtime.report import Report, ReportReader
from src.runtime.settings import Settings
from src.runtime.settings_mode import Mode
from src.simulator.service import SimulatorService
from src.simulator.world import World

_QUIET_LIMIT_SECONDS = 30.0
_BALANCE_READS = 1_000.0
_STARTING_CASH: Cash = 1_000 * DOLLAR_CASH


class DemoStuckError(TradingSystemError):
    """The daemon did not become quiet: the lockstep run cannot go on honestly."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What to run. ``wall_seconds`` paces the world; 0 runs as fast as the machine allows."""

    world: World
    seed: int
    balance: Cash = _STARTING_CASH
    tick: Nanos = 5 * MINUTE
    wall_seconds: float = 0.0
    directory: Path = Path("var/demo")
    settings_shown: dict[str, float | int | str] = field(default_factory=dict)


async def run_demo(
    plan: DemoPlan, settings: Settings, root: Path, console: Console, stop: asyncio.Event
) -> Report:
    """Run the whole system over ``plan.world``; ``stop`` ends it early and cleanly.

    Raises ``ConfigError`` for what the user can mend and ``DemoStuckError`` when lockstep is lost.
    """
    reader = ReportReader()
    require_controls(risk_limits(settings))
    async with AsyncExitStack() as stack:
        database = await open_database(settings, "demo_run", root, reset=True)
        stack.push_async_callback(database.close)
        fence = await database.store.lock("demo")
        fallback = FallbackFile(root / plan.directory, "demo_run", fence)
        stack.callback(fallback.close)
        fallback.clear()  # the ledger of an earlier demo is gone as well
        console.print(f"database: {database.described}", highlight=False, soft_wrap=True)
        service = SimulatorService(
            plan.world, root / plan.directory / "simulated-key.pem", seed=plan.seed, balance=plan.balance
        )
        await service.start()
        stack.push_async_callback(service.stop)
        console.print(f"simulated exchange: {service.rest_url}", highlight=False)
        run = _DemoRun(plan, settings, service, database, fallback, reader, console)
        stack.push_async_callback(run.close)
        await run.drive(stop)
        return await run.report()


class _DemoRun:
    """One lockstep run: the daemon against the exchange, and the driver between them."""

    def __init__(
        self,
        plan: DemoPlan,
        settings: Settings,
        service: SimulatorService,
        database: Database,
        fallback: FallbackFile,
        reader: ReportReader,
        console: Console,
    ) -> None:
        self._plan = plan
        self._service = service
        self._store = database.store
        self._reader = reader
        self._clock = ManualClock(plan.world.start)
        signer = Signer(service.key_id, load_private_key(str(service.private_key_path)), wall_ms)
        self._client = KalshiClient(service.rest_url, signer)
        series = settings.strategies.weather_model.series
        self._metrics = Metrics()
        self._feed = KalshiFeed(
            service.ws_url,
            signer,
            self._client,
            self._clock,
            series=series,
            on_bad=self._metrics.count_bad_message,
        )
        self._weather = SimulatedWeatherSource(service.weather_url, self._clock)
        # Fifteen minutes of world time are a fraction of a second here: reading the records more often
        # than that would only repeat the same answer.
        policy = ReconcilePolicy(interval=15 * MINUTE, grace=10 * SECOND, retry_after=2 * SECOND)
        limits = replace(risk_limits(settings), max_account_age=4 * policy.interval)
        self._engine = build_engine(settings, Mode.SIMULATED, policy, limits)
        days = "1 day" if plan.world.days == 1 else f"{plan.world.days} days"
        origin = f", seed {plan.seed}" if plan.world.kind == "generated" else ""
        label = f"SIMULATED money, {plan.world.kind} world, {days}{origin}"
        self._view = DemoView(console, self._engine, label)
        self._daemon = Daemon(
            engine=self._engine,
            clock=self._clock,
            store=DurableStore(database.store, fallback, database.revive),
            gateway=KalshiGateway(self._client, self._clock),
            sources={"market": self._feed.stream, "weather": self._weather.stream},
            notifier=self._view,
            readers=(self._reader, self._view, self._metrics),
            resync=self._feed.resync,
            on_latency=self._reader.on_latency,
            tick_interval=None,
        )

    async def close(self) -> None:
        """Close the client's connections."""
        await self._client.aclose()

    async def drive(self, stop: asyncio.Event) -> None:
        """Run the world to its end (or until ``stop``), then stop the daemon in stages."""
        await self._client.limits()
        # Kalshi serves the balance once a second; in a world this much faster that would be all we wait for.
        self._client.budget.balance.resize(_BALANCE_READS, _BALANCE_READS)
        task = asyncio.create_task(self._daemon.run(), name="daemon")
        try:
            with self._view:
                await self._until_active(task)
                await self._play(task, stop)
            self._daemon.stop()
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def report(self) -> Report:
        """The report of the finished run."""
        exchange = self._service.exchange
        account = exchange.account(self._service.key_id)
        finalized = {
            ticker: state.market.event_ticker
            for ticker, state in exchange.markets.items()
            if state.market.status is MarketStatus.FINALIZED
        }
        return self._reader.finish(
            world=self._plan.world.kind,
            days=self._plan.world.days,
            seed=self._plan.seed,
            opening_cash=self._plan.balance,
            closing_equity=self._engine.equity(),
            settled_markets=len(finalized),
            settled_events=len(set(finalized.values())),
            differences=ledger_differences(await self._store.ledger(), account),
            settings=self._plan.settings_shown,
        )

    async def _until_active(self, task: asyncio.Task[None]) -> None:
        """Wait until the account was reconciled and the market feed is up."""
        limit = time.monotonic() + _QUIET_LIMIT_SECONDS
        while self._engine.control.state is not TradingState.ACTIVE or not self._engine.markets.feed_up:
            await self._turn("the start", limit, task)
        await self._quiet(task)

    async def _play(self, task: asyncio.Task[None], stop: asyncio.Event) -> None:
        world, driver = self._plan.world, self._service.driver
        started, span = time.monotonic(), world.end - world.start
        next_tick = world.start
        while next_tick <= world.end and not stop.is_set():
            upcoming = driver.peek_ts()
            now = next_tick if upcoming is None else min(upcoming, next_tick)
            self._clock.set(max(now, self._clock.now()))
            driver.step_until(now)
            await self._quiet(task)
            if now == next_tick:
                self._daemon.inject(Tick(now))
                await self._quiet(task)
                next_tick += self._plan.tick
                share = (now - world.start) / span
                self._view.step(now, share)
                ahead = share * self._plan.wall_seconds - (time.monotonic() - started)
                if ahead > 0:
                    await asyncio.sleep(ahead)

    async def _quiet(self, task: asyncio.Task[None]) -> None:
        """Wait until nothing is under way between the exchange and the daemon, twice in a row."""
        limit = time.monotonic() + _QUIET_LIMIT_SECONDS
        calm = 0
        while calm < 2:
            await self._turn("quiet", limit, task)
            settled = (
                self._daemon.is_quiet
                and self._frames_handled() == self._service.server.frames_sent
                and self._feed.is_settled
            )
            calm = calm + 1 if settled else 0

    def _frames_handled(self) -> int:
        return self._feed.frames_handled + self._weather.frames_handled

    async def _turn(self, what: str, limit: float, task: asyncio.Task[None]) -> None:
        """One turn of the event loop, unless the daemon ended or patience did."""
        if task.done():
            task.result()
            raise DemoStuckError(f"the daemon ended by itself while waiting for {what}")
        if time.monotonic() > limit:
            raise DemoStuckError(
                f"waiting for {what} took over {_QUIET_LIMIT_SECONDS:g} s: the exchange sent "
                f"{self._service.server.frames_sent} frames, {self._frames_handled()} were handled, "
                f"{self._daemon.executor.in_flight} calls are under way"
            )
        await asyncio.sleep(0)
