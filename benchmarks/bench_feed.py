"""WebSocket bytes on loopback -> the engine's books, through the daemon's own path.

A process of its own sends changes of books. Here run ``KalshiFeed``, the inbox, the engine (no strategies)
and the journal's writer, as the daemon runs them. First a steady rate: the share of a core, the delay from
the sender's write to the end of ``Engine.handle``, peak memory. Then as fast as it goes. After each part
every book must equal the sender's, and every change must have been handled.

    python -m benchmarks.bench_feed [--rate 5000] [--markets 2000] [--seconds 20] [--flood 300000]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

import uvloop
from cryptography.hazmat.primitives.asymmetric import ed25519

from benchmarks.machine import machine, peak_mb, percentile
from benchmarks.venue import SERIES, Levels, Venue, asked, venue_process
from src.api.client import KalshiClient
from src.api.feed import KalshiFeed
from src.api.gateway import KalshiGateway
from src.api.signing import Signer
from src.core.actions import Alert, AuditRecord, StoredState
from src.core.events import BookDelta, DailyMaximum, Event, ForecastUpdate
from src.core.ports import ApprovedOrder
from src.core.sides import BookSide
from src.core.units import MILLISECOND
from src.execution.engine import Action, Engine
from src.execution.limits import ReconcilePolicy, RiskLimits
from src.runtime.clocks import SystemClock, wall_ms
from src.runtime.daemon import Daemon

_LEG = {BookSide.BID: "yes", BookSide.ASK: "no"}


class TimedEngine(Engine):
    """Notes how old each change is once its book is updated."""

    def __init__(self) -> None:
        super().__init__((), RiskLimits(), ReconcilePolicy(), {})
        self.delays_us: list[int] = []
        self.deltas = 0
        self.is_timed = False
        self.target = 0
        self.reached = asyncio.Event()

    def handle(self, event: Event) -> list[Action]:
        """Handle the event and take its delay: the stub puts the microsecond of writing into ``ts_ms``."""
        out = super().handle(event)
        if type(event) is BookDelta:
            self.deltas += 1
            if self.is_timed and event.ts_event is not None:
                self.delays_us.append(time.perf_counter_ns() // 1_000 - event.ts_event // MILLISECOND)
            if self.deltas == self.target:
                self.reached.set()
        return out

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


class ForgetfulStore:
    """A store that keeps nothing: the journal is not what is measured."""

    async def load(self) -> StoredState:
        """Nothing yet."""
        return StoredState()

    async def put_intent(self, approved: ApprovedOrder) -> None:
        """Forget it."""

    async def append(self, records: Sequence[AuditRecord]) -> None:
        """Forget them."""

    async def put_forecasts(self, forecasts: Sequence[ForecastUpdate]) -> None:
        """Forget them."""

    async def put_maxima(self, maxima: Sequence[DailyMaximum]) -> None:
        """Forget them."""


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
    engine.is_timed = False
    _check(engine, await asked(pipe))
    p50, p99 = (percentile(engine.delays_us, part) / 1_000 for part in (0.5, 0.99))
    return (
        f"{rate:,} a second for {seconds} s: {share:.1%} of a core, write to engine p50 {p50:.2f} ms, "
        f"p99 {p99:.2f} ms, longest {max(engine.delays_us) / 1_000:.1f} ms; {count:,} of {count:,} handled"
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


async def run(options: argparse.Namespace) -> None:
    """Start everything, run both parts, print."""
    with venue_process(options.markets, script) as (pipe, base_url, ws_url):
        clock = SystemClock()
        signer = Signer("bench", ed25519.Ed25519PrivateKey.generate(), wall_ms)
        client = KalshiClient(base_url, signer)
        feed = KalshiFeed(ws_url, signer, client, clock, series=(SERIES,), on_bad=print)
        engine = TimedEngine()
        daemon = Daemon(
            engine=engine,
            clock=clock,
            store=ForgetfulStore(),
            gateway=KalshiGateway(client, clock),
            sources={"market": feed.stream},
            notifier=Screen(),
            readers=(),
            resync=feed.resync,
            on_latency=lambda _: None,
        )
        task = asyncio.create_task(daemon.run())
        assert await asked(pipe) == "subscribed"
        print(f"{machine()}; {options.markets:,} markets, uvloop")
        print(await steady(engine, pipe, options.rate, options.seconds))
        print(f"peak memory {peak_mb():.0f} MB")
        if options.flood:
            print(await flood(engine, pipe, options.flood))
            print(f"peak memory {peak_mb():.0f} MB (with {daemon.inbox.depth()} events waiting at the end)")
        pipe.send(None)
        daemon.stop()
        await task
        await client.aclose()


def main() -> int:
    """Run with the loop the daemon uses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--markets", type=int, default=2_000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--flood", type=int, default=300_000)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
