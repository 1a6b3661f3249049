"""The whole daemon under load: 5,000 book messages a second over 2,000 markets, for a minute.

A simulated exchange in a process of its own, made to send and do nothing else, streams changes of books over
a WebSocket. Here run the feed, the inbox, the engine with the weather strategy, metrics and the journal's
writer on PostgreSQL, as the daemon runs them, and after a while the compiled books. Prints the share of a
core, the delay from the exchange's write to the end of ``Engine.handle``, and the daemon's peak memory; then
how much a flood of messages gets through. After each part every book must equal the exchange's, and every
change must have been handled. Reference: msgspec's typed decode of one such message, in the same process.

    python -m benchmarks.bench_daemon_load [--rate 5000] [--markets 2000] [--seconds 60] [--flood 300000]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from array import array
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop
from cryptography.hazmat.primitives.asymmetric import ed25519

from benchmarks.bench_book import Flow, decode_only
from benchmarks.machine import machine, peak_mb, percentile
from benchmarks.venue import SERIES, Levels, Venue, asked, venue_process
from src.api.client import KalshiClient
from src.api.feed import KalshiFeed
from src.api.gateway import KalshiGateway
from src.api.signing import Signer
from src.core.actions import Alert
from src.core.events import NO_TIME, BookDelta, BookDeltas, Event
from src.core.sides import BookSide
from src.core.units import MILLISECOND
from src.database.embedded import EmbeddedPostgres
from src.database.store import PostgresStore
from src.edge_detection.weather_config import WeatherConfig
from src.edge_detection.weather_model import WeatherModel
from src.execution.engine import Action, Engine
from src.execution.limits import ReconcilePolicy, RiskLimits
from src.monitoring.metrics import Metrics
from src.runtime.clocks import SystemClock, wall_ms
from src.runtime.compiled_books import compile_books
from src.runtime.daemon import Daemon
from src.runtime.supervisor import Service

_LEG = {BookSide.BID: "yes", BookSide.ASK: "no"}


class TimedEngine(Engine):
    """Notes how old each change is once its book is updated."""

    def __init__(self) -> None:
        weather = WeatherModel(WeatherConfig(series=(SERIES,), sources=("gfs",)))
        super().__init__([weather], RiskLimits(), ReconcilePolicy(), {})
        self.delays_us = array("q")
        self.batches = 0
        self.deltas = 0
        self.is_timed = False
        self.target = 0
        self.reached = asyncio.Event()

    def handle(self, event: Event) -> list[Action]:
        """Handle the event and take its delay: the stub puts the microsecond of writing into ``ts_ms``."""
        out = super().handle(event)
        if type(event) is BookDeltas:
            self.batches += 1
            self._count(event.columns[:, 5].tolist())
        elif type(event) is BookDelta:
            self._count([NO_TIME if event.ts_event is None else event.ts_event])
        return out

    def _count(self, times: list[int]) -> None:
        self.deltas += len(times)
        if self.is_timed:
            now = time.perf_counter_ns() // 1_000
            self.delays_us.extend(now - each // MILLISECOND for each in times)
        if self.deltas >= self.target:
            self.reached.set()

    async def handled(self, target: int) -> None:
        """Wait until ``target`` changes have been handled."""
        self.target = target
        if self.deltas < target:
            self.reached.clear()
            await self.reached.wait()

    def levels(self) -> Levels:
        """Every level of every book, as the stub counts them."""
        return {
            (ticker, _LEG[side], price): size
            for ticker in self.markets.markets
            if (book := self.book(ticker)) is not None
            for side in BookSide
            for price, size in book.levels(side)
        }


class Screen:
    """Prints what the engine warns of: there should be nothing."""

    def send(self, alert: Alert) -> None:
        """Print it."""
        print(f"alert: {alert.text}", file=sys.stderr)


async def script(venue: Venue, pipe: Connection) -> None:
    """What the sender does: say when all is subscribed, then each part when asked for it."""
    await venue.subscribed.wait()
    pipe.send("subscribed")
    while (order := await asked(pipe)) is not None:
        count, rate = order
        if rate:
            await venue.pace(count, rate)
        else:
            frames = [venue.books.delta(0) for _ in range(count)]
            pipe.send("go")
            await venue.flood(frames)
        # In a thread: the reader may wait for the last changes, which this loop still has to write.
        held = {key: size for key, size in venue.books.sizes.items() if size}
        await asyncio.to_thread(pipe.send, held)


async def steady(engine: TimedEngine, pipe: Connection, rate: int, seconds: int) -> str:
    """Receive ``rate`` changes a second for ``seconds``."""
    count = rate * seconds
    engine.is_timed = True
    begin, cpu = time.perf_counter(), time.process_time()
    pipe.send((count, rate))
    await engine.handled(engine.deltas + count)
    share = (time.process_time() - cpu) / (time.perf_counter() - begin)
    peak = peak_mb()  # before the delays are sorted
    engine.is_timed = False
    _check(engine, await asked(pipe))
    p50, p99 = (percentile(engine.delays_us, part) / 1_000 for part in (0.5, 0.99))
    return (
        f"{rate:,} a second for {seconds} s: {share:.1%} of a core, write to engine p50 {p50:.2f} ms, "
        f"p99 {p99:.2f} ms, longest {max(engine.delays_us) / 1_000:.1f} ms; {count:,} of {count:,} handled, "
        f"{engine.batches:,} batches; peak memory {peak:.0f} MB"
    )


async def flood(engine: TimedEngine, pipe: Connection, count: int) -> str:
    """Receive ``count`` changes as fast as possible."""
    pipe.send((count, 0))
    await asked(pipe)
    begin, cpu = time.perf_counter(), time.process_time()
    await engine.handled(engine.deltas + count)
    seconds, busy = time.perf_counter() - begin, time.process_time() - cpu
    _check(engine, await asked(pipe))
    return f"flood of {count:,}: {count / seconds:,.0f} a second ({busy / count * 1e6:.1f} us of CPU each)"


def _check(engine: TimedEngine, expected: Levels) -> None:
    found = engine.levels()
    if found != expected:
        wrong = {key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)}
        raise SystemExit(f"{len(wrong)} levels differ from the sender's, e.g. {sorted(wrong)[:3]}")


async def run(options: argparse.Namespace, directory: Path) -> None:
    """Start everything, run both parts, print."""
    with venue_process(options.markets, script) as (pipe, base_url, ws_url):
        clock = SystemClock()
        signer = Signer("bench", ed25519.Ed25519PrivateKey.generate(), wall_ms)
        client = KalshiClient(base_url, signer)
        feed = KalshiFeed(ws_url, signer, client, clock, series=(SERIES,), on_bad=print)
        engine = TimedEngine()
        metrics = Metrics()
        async with EmbeddedPostgres(directory) as url:
            store = await PostgresStore.open(url, "bench_load")
            await store.lock("daemon")
            daemon = Daemon(
                engine=engine,
                clock=clock,
                store=store,
                gateway=KalshiGateway(client, clock),
                sources={"market": feed.stream},
                notifier=Screen(),
                readers=(metrics,),
                resync=feed.resync,
                on_latency=lambda _: None,
                services=[Service("compiled books", lambda: compile_books(feed, engine.markets, _soon))],
            )
            task = asyncio.create_task(daemon.run())
            assert await asked(pipe) == "subscribed"
            reference = decode_only(Flow(options.markets, 0).chunk(20_000)) / 20_000 * 1e6
            print(
                f"{machine()}; {options.markets:,} markets, uvloop; reference: one decode {reference:.2f} us"
            )
            print(await steady(engine, pipe, options.rate, options.seconds), flush=True)
            if options.flood:
                print(await flood(engine, pipe, options.flood))
            daemon.stop()
            await task
            await store.close()
        pipe.send(None)
        await client.aclose()


async def _soon(_: float) -> None:
    await asyncio.sleep(1.0)


def main() -> int:
    """Run with the loop the daemon uses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--markets", type=int, default=2_000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--flood", type=int, default=300_000)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as directory,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        Path(directory).chmod(0o755)  # where we are root, the server runs as another user
        runner.run(run(options, Path(directory) / "postgres"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
