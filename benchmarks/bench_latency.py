"""News bytes in -> order bytes out, on loopback, with everything that trading needs in between.

A process of its own sends a forecast over a WebSocket and notes when the order's request has arrived. Between
them run, as the daemon runs them: parsing, matching the forecast to a market, the engine, the risk gate,
sizing, the order's row committed in PostgreSQL with fsync on, the signed HTTP request. Beside it, in the same
run, what does nothing else: an echo, httpx with an RSA signature, aiohttp with one made beforehand, and the
disk taking one page of a log, which is the least that a committed row can cost.

    python -m benchmarks.bench_latency [--news 400] [--gap-ms 25]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from multiprocessing.connection import Connection

import aiohttp
import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.live_daemon import BenchEngine, Plugs, durable_store, run_on_the_daemons_loop, running
from benchmarks.machine import machine, percentile
from benchmarks.venue import MARKETS_PER_EVENT, NEWS, SERIES, Venue, asked, tickers, venue_process
from src.api.aiohttp_transport import AiohttpTransport
from src.api.client import KalshiClient
from src.api.feed import KalshiFeed
from src.api.gateway import KalshiGateway
from src.api.signing import Signer
from src.core.events import Event, ForecastUpdate, OrderAccepted, OrderRejected, OrderUnknown
from src.core.ports import ApprovedOrder, MarketView, Store
from src.core.sides import Outcome
from src.core.signal import Signal, make_signal_id
from src.core.units import HOUR
from src.execution.engine import Action
from src.execution.limits import RiskLimits
from src.monitors.simulated_weather import SimulatedWeatherSource
from src.runtime.clocks import SystemClock, wall_ms
from src.runtime.supervisor import Service

WARM_UP = 50
_PAGE = 8_192
_ORDERS = "/portfolio/events/orders"
_BODY = (
    b'{"ticker":"KXHIGHNY-0001-B50.5","client_order_id":"6d9b5c0e-7d0a-5f0e-9a53-0f6f6f2c8f01","side":"bid",'
    b'"count":"10.00","price":"0.4000","time_in_force":"immediate_or_cancel"}'
)
Marks = dict[str, list[int]]


class Follower:
    """The least strategy: a forecast names an event, its degrees choose the market, which is bought."""

    name = "follower"

    def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
        """Match a forecast with its market."""
        if not isinstance(event, ForecastUpdate):
            return ()
        markets = view.markets_of(f"{event.series_ticker}-{event.target_date}")
        market = markets[int(event.tmax_f) - 50]
        return [
            Signal(
                signal_id=make_signal_id(self.name, event.cause_id, market.ticker, Outcome.YES),
                strategy=self.name,
                ticker=market.ticker,
                event_ticker=market.event_ticker,
                outcome=Outcome.YES,
                probability=0.6,
                std_error=0.01,
                min_edge=0.05,
                cause_id=event.cause_id,
                cause_ts=event.ts_event,
                ts=event.ts_recv,
            )
        ]

    def fair_probability(self, view: MarketView, ticker: str) -> float | None:
        """No opinion on what is held."""
        return None


class MarkedEngine(BenchEngine):
    """Notes when a forecast reached it and when it was decided."""

    def __init__(self, marks: Marks, names: Sequence[str]) -> None:
        limits = RiskLimits(max_trades_per_hour=10**9, max_trades_per_day=10**9, max_account_age=HOUR)
        super().__init__(Follower(), limits, names)
        self._marks = marks

    def handle(self, event: Event) -> list[Action]:
        """Handle it."""
        if not isinstance(event, ForecastUpdate):
            return super().handle(event)
        self._marks["parsed"].append(time.perf_counter_ns())
        out = super().handle(event)
        self._marks["decided"].append(time.perf_counter_ns())
        return out


class MarkedGateway(KalshiGateway):
    """Notes when a committed order was handed over."""

    marks: Marks

    async def submit(self, approved: ApprovedOrder) -> OrderAccepted | OrderRejected | OrderUnknown:
        """Send it."""
        self.marks["committed"].append(time.perf_counter_ns())
        return await super().submit(approved)


async def script(venue: Venue, pipe: Connection) -> None:
    """Send ``count`` forecasts a fixed time apart, each after the last one's order; report both instants."""
    while (order := await asked(pipe)) is not None:
        count, gap = order
        socket = await venue.news.get()
        times: list[tuple[int, int]] = []
        for number in range(count):
            await asyncio.sleep(gap)
            event, market = divmod(number, MARKETS_PER_EVENT)
            now = time.time_ns()
            text = (
                f'{{"type":"forecast","series_ticker":"{SERIES}","station":"KNYC","target_date":"{event:04d}",'
                f'"source":"bench","lead_days":1.0,"tmax_f":{50 + market}.5,"issued_ts":{now},'
                f'"ts_event":{now}}}'
            )
            sent = time.perf_counter_ns()
            await socket.send(text)
            times.append((sent, await asyncio.wait_for(venue.arrivals.get(), 10)))
        await asyncio.to_thread(pipe.send, times)


def show(name: str, times: Sequence[tuple[int, int]]) -> None:
    """Print the percentiles of one client."""
    micros = [(end - start) / 1_000 for start, end in times[WARM_UP:]]
    p50, p90, p99 = (percentile(micros, share) for share in (0.5, 0.9, 0.99))
    print(f"{name:44s} p50 {p50:7.0f} us   p90 {p90:7.0f}   p99 {p99:7.0f}", flush=True)


async def bare(url: str, pipe: Connection, order: tuple[int, float], reply: Reply) -> list[tuple[int, int]]:
    """Answer every piece of news by ``reply``, with nothing in between."""
    pipe.send(order)

    async def answer(socket: ClientConnection) -> None:
        async for text in socket:
            msgspec.json.decode(text)
            await reply(socket)

    async with connect(url, proxy=None, compression=None) as socket:
        task = asyncio.create_task(answer(socket))
        times: list[tuple[int, int]] = await asked(pipe)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return times


Reply = Callable[[ClientConnection], Awaitable[object]]


async def references(
    news: str, base_url: str, pipe: Connection, order: tuple[int, float], signer: Signer
) -> None:
    """The bare clients."""
    url, path = base_url + _ORDERS, "/trade-api/v2" + _ORDERS
    kind = {"Content-Type": "application/json"}
    show("echo", await bare(news, pipe, order, lambda socket: socket.send("{}")))
    async with httpx.AsyncClient(trust_env=False) as http:

        async def inline(_: ClientConnection) -> object:
            return await http.post(url, content=_BODY, headers={**kind, **signer.headers("POST", path)})

        show("bare httpx, RSA signature inline", await bare(news, pipe, order, inline))
    async with aiohttp.ClientSession() as session:
        headers = {**kind, **signer.headers("POST", path)}

        async def prepared(_: ClientConnection) -> object:
            async with session.post(url, data=_BODY, headers=headers) as answer:
                return await answer.read()

        show("bare aiohttp, signature prepared", await bare(news, pipe, order, prepared))


def disk(count: int, gap: float) -> None:
    """One page of a file that is as long as it will be, made durable; ``gap`` seconds between two."""
    times = []
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(bytes(_PAGE))
        os.fsync(file.fileno())
        for _ in range(count):
            time.sleep(gap)
            start = time.perf_counter_ns()
            os.pwrite(file.fileno(), bytes(_PAGE), 0)
            os.fdatasync(file.fileno())
            times.append((start, time.perf_counter_ns()))
    show("one page made durable", times)


async def system(
    news: str,
    ws_url: str,
    client: KalshiClient,
    signer: Signer,
    pipe: Connection,
    order: tuple[int, float],
    store: Store,
) -> tuple[list[tuple[int, int]], Marks]:
    """The daemon with everything that trading needs."""
    clock = SystemClock()
    marks: Marks = {"parsed": [], "decided": [], "committed": []}
    feed = KalshiFeed(ws_url, signer, client, clock, series=(SERIES,), on_bad=print)
    gateway = MarkedGateway(client, clock)
    gateway.marks = marks
    plugs = Plugs(
        engine=MarkedEngine(marks, tickers(order[0])),
        clock=clock,
        gateway=gateway,
        feed=feed,
        sources={"weather": SimulatedWeatherSource(news, clock).stream},
        services=[Service("signatures", lambda: client.keep_signature_ready(order[1] / 2))],
    )
    async with running(plugs, store):
        pipe.send(order)
        times: list[tuple[int, int]] = await asked(pipe)
    return times, marks


def show_stages(times: Sequence[tuple[int, int]], marks: Marks) -> None:
    """Print where the time went, as medians."""
    steps = [
        ("news sent -> parsed, at the engine", [start for start, _ in times], marks["parsed"]),
        ("engine: matching, risk gate, sizing", marks["parsed"], marks["decided"]),
        ("order's row committed", marks["decided"], marks["committed"]),
        ("signed, encoded, sent -> arrived", marks["committed"], [end for _, end in times]),
    ]
    for name, starts, ends in steps:
        micros = [(end - start) / 1_000 for start, end in zip(starts, ends, strict=True)][WARM_UP:]
        print(f"    {name:40s} p50 {percentile(micros, 0.5):7.0f} us   p99 {percentile(micros, 0.99):7.0f}")


async def run(options: argparse.Namespace, database: str) -> None:
    """Everything in one run."""
    order = (options.news + WARM_UP, options.gap_ms / 1_000)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signer = Signer("bench", key, wall_ms)
    print(f"{machine()}; {options.news} pieces of news, RSA-2048, fsync on, uvloop", flush=True)
    with venue_process(order[0], script) as (pipe, base_url, ws_url):
        news = ws_url.partition("/trade-api")[0] + NEWS
        await references(news, base_url, pipe, order, signer)
        disk(*order)
        for name, transport in (("httpx", None), ("aiohttp", AiohttpTransport())):
            client = KalshiClient(base_url, signer, transport=transport)
            # The venue's rate limits are not what is measured.
            client.budget.learn(read_rate=1e6, read_capacity=1e6, write_rate=1e6, write_capacity=1e6)
            async with durable_store(database, f"bench_{name}") as store:
                times, marks = await system(news, ws_url, client, signer, pipe, order, store)
            show(f"this system, over {name}", times)
            show_stages(times, marks)
            await client.aclose()
        pipe.send(None)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--news", type=int, default=400)
    parser.add_argument("--gap-ms", type=float, default=25.0)
    return run_on_the_daemons_loop(parser.parse_args(), run)


if __name__ == "__main__":
    sys.exit(main())
