"""The daemon as it runs, for benchmarks: feed, engine, journal on PostgreSQL, against a stub exchange."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from src.api.feed import KalshiFeed
from src.api.gateway import KalshiGateway
from src.core.actions import Alert, TradingState
from src.core.events import Event
from src.core.ports import Store, Strategy
from src.database.durable import DurableStore
from src.database.embedded import EmbeddedPostgres
from src.database.fallback import FallbackFile
from src.database.store import PostgresStore
from src.execution.engine import Action, Engine
from src.execution.limits import ReconcilePolicy, RiskLimits
from src.runtime.clocks import SystemClock
from src.runtime.daemon import Daemon, Reader
from src.runtime.pauses import shorten_pauses
from src.runtime.supervisor import Service


class Screen:
    """Prints what the engine warns of: there should be nothing."""

    def send(self, alert: Alert) -> None:
        """Print it."""
        print(f"alert: {alert.text}", file=sys.stderr)


class BenchEngine(Engine):
    """An engine that says, by ``ready``, when it may trade and has the book of every one of ``names``."""

    def __init__(self, strategy: Strategy, limits: RiskLimits, names: Sequence[str]) -> None:
        super().__init__([strategy], limits, ReconcilePolicy(), {})
        self._missing = set(names)
        self.ready = asyncio.Event()

    def handle(self, event: Event) -> list[Action]:
        """Handle it."""
        out = super().handle(event)
        if not self.ready.is_set():
            self._missing -= {each for each in self._missing if self.book(each) is not None}
            if not self._missing and self.control.state is TradingState.ACTIVE:
                self.ready.set()
        return out


@dataclass
class Plugs:
    """What a benchmark plugs into its daemon."""

    engine: BenchEngine
    clock: SystemClock
    gateway: KalshiGateway
    feed: KalshiFeed
    sources: Mapping[str, Callable[[], AsyncIterator[Event]]] = field(default_factory=dict)
    readers: Sequence[Reader] = ()
    services: Sequence[Service] = ()


@asynccontextmanager
async def running(plugs: Plugs, store: Store) -> AsyncIterator[None]:
    """Run a daemon whose engine is ready; stop it in stages at the end."""
    daemon = Daemon(
        engine=plugs.engine,
        clock=plugs.clock,
        store=store,
        gateway=plugs.gateway,
        sources={"market": plugs.feed.stream, **plugs.sources},
        notifier=Screen(),
        readers=plugs.readers,
        resync=plugs.feed.resync,
        on_latency=lambda _: None,
        services=plugs.services,
    )
    shorten_pauses()  # as the composed daemon does
    task = asyncio.create_task(daemon.run())
    await asyncio.wait_for(plugs.engine.ready.wait(), 120)
    yield
    daemon.stop()
    await task


@asynccontextmanager
async def durable_store(database: str, schema: str) -> AsyncIterator[DurableStore]:
    """The daemon's store in ``schema``, as its one writer."""
    primary = await PostgresStore.open(database, schema)
    fence = await primary.lock("daemon")
    with tempfile.TemporaryDirectory() as folder, closing(FallbackFile(Path(folder), schema, fence)) as file:
        yield DurableStore(primary, file)
    await primary.close()


def run_on_the_daemons_loop(
    options: argparse.Namespace, work: Callable[[argparse.Namespace, str], Coroutine[Any, Any, None]]
) -> int:
    """Run ``work(options, URL of a PostgreSQL server of its own)`` with the loop the daemon uses."""

    async def with_database(directory: Path) -> None:
        async with EmbeddedPostgres(directory) as url:
            await work(options, url)

    with (
        tempfile.TemporaryDirectory() as directory,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        Path(directory).chmod(0o755)  # where we are root, the server runs as another user
        runner.run(with_database(Path(directory) / "postgres"))
    return 0
