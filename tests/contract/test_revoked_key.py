"""The key is revoked while the daemon runs: few requests, then halted, and quiet until a person acts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from src.api.client import KalshiClient
from src.api.feed import KalshiFeed
from src.api.gateway import KalshiGateway
from src.api.signing import Signer, load_private_key
from src.api.status_source import StatusSource
from src.core.actions import Noted, Severity, TradingState
from src.core.events import Command, CommandKind, Tick
from src.core.sides import BookSide
from src.core.units import MINUTE
from src.execution.engine import Engine
from src.execution.limits import ReconcilePolicy, RiskLimits
from src.runtime.daemon import Daemon
from src.simulator.faults import FaultPlan, FaultRule
from src.simulator.service import SimulatorService
from tests.contract.test_client_under_faults import SERIES, SmallWorld, at_once
from tests.runtime.fakes import KeepingNotifier, MemoryStore


class Rig:
    """A whole daemon, without a database, before a simulated exchange."""

    def __init__(self, folder: Path, status_interval: float) -> None:
        path = folder / "key.pem"
        self.service = SimulatorService(SmallWorld(3), path, key_type="ed25519", faults=FaultPlan())
        self.path = path
        self.status_interval = status_interval
        self.engine = Engine([], RiskLimits(), ReconcilePolicy(), {})
        self.notifier = KeepingNotifier()
        self.store = MemoryStore()

    async def start(self) -> Daemon:
        await self.service.start()
        clock = self.service.driver.clock
        signer = Signer(
            self.service.key_id, load_private_key(str(self.path)), lambda: time.time_ns() // 1_000_000
        )
        self.client = KalshiClient(self.service.rest_url, signer, sleep=at_once)
        feed = KalshiFeed(
            self.service.ws_url,
            signer,
            self.client,
            clock,
            series=[SERIES],
            on_bad=lambda source, what: None,
            sleep=at_once,
        )
        status = StatusSource(self.client, clock, interval=self.status_interval, watches_clock=False)
        self.daemon = Daemon(
            engine=self.engine,
            clock=clock,
            store=self.store,
            gateway=KalshiGateway(self.client, clock),
            sources={"market": feed.stream, "exchange": status.stream},
            notifier=self.notifier,
            readers=(),
            resync=feed.resync,
            on_latency=lambda latency: None,
            tick_interval=None,
        )
        return self.daemon

    async def stop(self) -> None:
        await self.client.aclose()
        await self.service.stop()

    @property
    def requests(self) -> int:
        assert self.service.faults is not None
        return self.service.faults.observations.request_count

    @property
    def refused(self) -> set[str]:
        """The sources that wait for a person, as the journal tells."""
        notes = [each for each in self.store.records if isinstance(each, Noted) and each.kind == "feed_down"]
        return {str(each.data["feed"]) for each in notes if "KALSHI_API_KEY" in str(each.data["reason"])}

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while True:
                if condition():
                    return
                await asyncio.sleep(0)

    async def turns(self, count: int) -> None:
        """Let everything that is ready happen, many times over."""
        for _ in range(count):
            await asyncio.sleep(0)


@asynccontextmanager
async def running(folder: Path, status_interval: float) -> AsyncIterator[Rig]:
    rig = Rig(folder, status_interval)
    daemon = await rig.start()
    task = asyncio.create_task(daemon.run())
    try:
        await rig.until(
            lambda: (
                rig.engine.control.state is TradingState.ACTIVE
                and rig.engine.markets.feed_up
                and daemon.is_quiet
            )
        )
        yield rig
        assert not task.done(), "the daemon goes on"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await rig.stop()


@pytest.mark.parametrize("first", ["report", "feed", "status"])
async def test_a_key_revoked_at_run_time_halts_after_at_most_three_requests(
    tmp_path: Path, first: str
) -> None:
    """Whoever is refused first. Then nothing more is asked, and one critical alert says why."""
    async with running(tmp_path, status_interval=0.01 if first == "status" else 3_600.0) as rig:
        assert rig.service.faults is not None
        before = rig.requests
        rig.service.faults.plan.add(FaultRule("key_revoked"))
        if first == "report":
            rig.daemon.inject(Tick(rig.engine.now + 10 * MINUTE))
        elif first == "feed":
            ticker = next(iter(rig.service.exchange.markets))
            rig.service.exchange.set_crowd_level(ticker, BookSide.BID, 3_000, 500)
        await rig.until(lambda: rig.engine.control.state is TradingState.HALTED)
        assert rig.requests - before <= 3
        assert "401" in rig.engine.control.why
        criticals = [each for each in rig.notifier.alerts if each.severity is Severity.CRITICAL]
        assert len(criticals) == 1
        # What was refused first stays quiet; others may learn of it once (two requests each), no more.
        for minute in range(60):
            rig.daemon.inject(Tick(rig.engine.now + minute * MINUTE))
            await rig.turns(20)
        assert rig.requests - before <= 6
        assert len([each for each in rig.notifier.alerts if each.severity is Severity.CRITICAL]) == 1


async def test_trading_resumes_when_the_key_works_again_and_a_person_clears_the_halt(tmp_path: Path) -> None:
    """The feed connects again, the records are read, and only then is the state active."""
    async with running(tmp_path, status_interval=0.01) as rig:
        assert rig.service.faults is not None
        rig.service.faults.plan.add(FaultRule("key_revoked"))
        ticker = next(iter(rig.service.exchange.markets))
        rig.service.exchange.set_crowd_level(ticker, BookSide.BID, 3_000, 500)
        # A refusal that came after the person's word would halt again.
        await rig.until(lambda: rig.refused == {"market", "exchange"})
        assert rig.engine.control.state is TradingState.HALTED
        rig.service.faults.plan.clear()
        rig.daemon.inject(Command(CommandKind.CLEAR_HALT, "owner", "key restored", rig.engine.now))
        await rig.until(
            lambda: rig.engine.control.state is TradingState.ACTIVE and rig.engine.markets.feed_up
        )
        await rig.until(lambda: rig.engine.book(ticker) is not None)
