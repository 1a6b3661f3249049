"""The whole daemon under load: 5,000 book messages a second over 2,000 markets, for a minute.

The simulated exchange, in a process of its own, streams changes of books over its WebSocket. Here run the
feed, the inbox, the engine with the weather strategy, metrics and the journal's writer on PostgreSQL, as the
daemon runs them; some seconds into the minute the compiled books come in. Prints the share of a core, the
delay from the exchange's change (its milliseconds) to the end of ``Engine.handle``, the exchange's own work,
the way through the kernel and the wait for a core included; the share of the time for which the daemon's
thread stood ready while others had the cores; and the peak memory. At the end every book must equal the
sender's, and every change must have been handled. Reference: msgspec's typed decode of one such message.

``--sender stub``: a process made to send and do nothing else, which stamps each message right before its
write, to the microsecond, so that the delay is the daemon's own; then how much a flood gets through.

Sender, daemon and PostgreSQL share the machine's cores. A sender that was held up goes on at its pace, and
the rate printed is the one that was reached; what it is late by itself is in no figure.

    python -m benchmarks.bench_daemon_load [--sender stub] [--rate 5000] [--markets 2000] [--seconds 60]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

from cryptography.hazmat.primitives.asymmetric import ed25519

from benchmarks.bench_book import Flow, decode_only
from benchmarks.live_daemon import BenchEngine, Plugs, durable_store, run_on_the_daemons_loop, running
from benchmarks.machine import machine, percentile, waited_for_a_core
from benchmarks.simulated_venue import exchange_process
from benchmarks.venue import LEGS, SERIES, Levels, Venue, asked, tickers, venue_process
from src.api.client import KalshiClient
from src.api.feed import KalshiFeed
from src.api.gateway import KalshiGateway
from src.api.signing import Signer, load_private_key
from src.core.events import NO_TIME, BookDelta, BookDeltas, Event
from src.core.sides import BookSide
from src.core.units import MILLISECOND
from src.edge_detection.weather_config import WeatherConfig
from src.edge_detection.weather_model import WeatherModel
from src.execution.engine import Action
from src.execution.limits import RiskLimits
from src.monitoring.metrics import Metrics
from src.runtime.clocks import SystemClock, wall_ms
from src.runtime.compiled_books import compile_books
from src.runtime.report import peak_rss_mb
from src.runtime.supervisor import Service


class TimedEngine(BenchEngine):
    """Notes how old each change is once its book is updated."""

    def __init__(self, names: Sequence[str]) -> None:
        weather = WeatherModel(WeatherConfig(series=(SERIES,), sources=("gfs",)))
        super().__init__(weather, RiskLimits(), names)
        self.delays_us = array("q")
        self.batches = 0
        self.deltas = 0
        self.is_timed = False
        # The stub puts the microsecond of its writing where the exchange puts its own milliseconds.
        self.sent_us: Callable[[int], int] = lambda stamp: stamp // MILLISECOND
        self.target = 0
        self.reached = asyncio.Event()

    def handle(self, event: Event) -> list[Action]:
        """Handle the event and take its delay."""
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
            self.delays_us.extend(now - self.sent_us(each) for each in times)
        if self.deltas >= self.target:
            self.reached.set()

    async def handled(self, count: int) -> None:
        """Wait until ``count`` changes more have been handled, for no longer than a slow machine takes."""
        self.target = self.deltas + count
        self.reached.clear()
        try:
            await asyncio.wait_for(self.reached.wait(), 120 + count / 1_000)
        except TimeoutError:
            left = self.target - self.deltas
            raise SystemExit(f"{left:,} of {count:,} changes never came to the engine") from None

    def levels(self) -> Levels:
        """Every level of every book, as the stub counts them."""
        return {
            (ticker, LEGS[side], price): size
            for ticker in self.markets.markets
            if (book := self.book(ticker)) is not None
            for side in BookSide
            for price, size in book.levels(side)
        }


async def script(venue: Venue, pipe: Connection) -> None:
    """What the sender does: each part when asked for it."""
    while (order := await asked(pipe)) is not None:
        count, rate = order
        if rate:
            pipe.send(await venue.pace(count, rate))
        else:
            await venue.flood(count)
        # In a thread: the reader may wait for the last changes, which this loop still has to write.
        await asyncio.to_thread(pipe.send, venue.books.levels())


async def steady(engine: TimedEngine, pipe: Connection, rate: int, seconds: int) -> str:
    """Receive ``rate`` changes a second for ``seconds``."""
    count = rate * seconds
    engine.is_timed = True
    begin, cpu, waited = time.perf_counter(), time.process_time(), waited_for_a_core()
    pipe.send((count, rate))
    await engine.handled(count)
    took = time.perf_counter() - begin
    share, waited = (time.process_time() - cpu) / took, (waited_for_a_core() - waited) / took
    peak = peak_rss_mb()  # before the delays are sorted
    engine.is_timed = False
    late = await asked(pipe)
    _check(engine, await asked(pipe))
    p50, p99 = (percentile(engine.delays_us, part) / 1_000 for part in (0.5, 0.99))
    return (
        f"{count / (seconds + late):,.0f} a second for {seconds + late:.1f} s: {share:.1%} of a core, "
        f"write to engine p50 {p50:.2f} ms, p99 {p99:.2f} ms, longest {max(engine.delays_us) / 1e3:.0f} ms; "
        f"waited for a core {waited:.1%} of the time; {count:,} of {count:,} handled, "
        f"{engine.batches:,} batches; peak memory {peak:.0f} MB"
    )


async def flood(engine: TimedEngine, pipe: Connection, count: int) -> str:
    """Receive ``count`` changes as fast as possible."""
    begin, cpu = time.perf_counter(), time.process_time()
    pipe.send((count, 0))
    await engine.handled(count)
    seconds, busy = time.perf_counter() - begin, time.process_time() - cpu
    _check(engine, await asked(pipe))
    return f"flood of {count:,}: {count / seconds:,.0f} a second ({busy / count * 1e6:.1f} us of CPU each)"


def _check(engine: TimedEngine, expected: Levels) -> None:
    found = engine.levels()
    if found != expected:
        wrong = {key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)}
        raise SystemExit(f"{len(wrong)} levels differ from the sender's, e.g. {sorted(wrong)[:3]}")


async def run(options: argparse.Namespace, database: str) -> None:
    """Start the sender that was asked for, and measure."""
    # Before anything listens: it would hold up the daemon's loop.
    reference = decode_only(Flow(options.markets, 0).chunk(20_000)) / 20_000 * 1e6
    print(f"{machine()}; {options.markets:,} markets, uvloop; reference: one decode {reference:.2f} us")
    engine = TimedEngine(tickers(options.markets))
    if options.sender == "simulator":
        with exchange_process(options.markets) as (pipe, there):
            engine.sent_us = lambda stamp: stamp // 1_000 - there.ahead_us
            signer = Signer(there.key_id, load_private_key(there.private_key), wall_ms)
            await measure(options, database, engine, pipe, (there.rest_url, there.ws_url, signer))
    else:
        with venue_process(options.markets, script) as (pipe, base_url, ws_url):
            signer = Signer("bench", ed25519.Ed25519PrivateKey.generate(), wall_ms)
            await measure(options, database, engine, pipe, (base_url, ws_url, signer))


async def measure(
    options: argparse.Namespace,
    database: str,
    engine: TimedEngine,
    pipe: Connection,
    there: tuple[str, str, Signer],
) -> None:
    """Start the daemon against the sender behind ``pipe``, run both parts, print."""
    clock = SystemClock()
    base_url, ws_url, signer = there
    client = KalshiClient(base_url, signer)
    feed = KalshiFeed(ws_url, signer, client, clock, series=(SERIES,), on_bad=print)
    plugs = Plugs(
        engine=engine,
        clock=clock,
        gateway=KalshiGateway(client, clock),
        feed=feed,
        readers=(Metrics(),),
        services=[Service("compiled books", lambda: compile_books(feed, engine.markets, _soon))],
    )
    async with durable_store(database, "bench_load") as store, running(plugs, store):
        print(await steady(engine, pipe, options.rate, options.seconds), flush=True)
        if options.flood and options.sender == "stub":
            print(await flood(engine, pipe, options.flood))
    pipe.send(None)
    await client.aclose()


async def _soon(_: float) -> None:
    await asyncio.sleep(1.0)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sender", choices=("stub", "simulator"), default="simulator")
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--markets", type=int, default=2_000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--flood", type=int, default=300_000)
    return run_on_the_daemons_loop(parser.parse_args(), run)


if __name__ == "__main__":
    sys.exit(main())
