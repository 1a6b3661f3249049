"""A simulated exchange in lockstep with a feed that is recorded, and recorders in temporary folders."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from src.api.client import KalshiClient
from src.api.feed import KalshiFeed
from src.api.recorder import OnRaw, Recorder
from src.api.signing import Signer, load_private_key
from src.core.events import Event, FeedUp
from src.core.units import MINUTE
from src.simulator.generated import GeneratedWorld
from src.simulator.ratelimit import RateLimits
from src.simulator.service import SimulatorService

T0 = 1_795_420_800_000_000_000


@dataclass
class SteppingClock:
    """Every look at it is a microsecond later, so that no two moments are alike."""

    time: int = T0

    def now(self) -> int:
        self.time += 1_000
        return self.time


@dataclass
class Collected:
    """Events a feed yielded, gathered by a task of its own."""

    feed: KalshiFeed
    events: list[Event] = field(default_factory=list)

    async def run(self) -> None:
        async for event in self.feed.stream():
            self.events.append(event)

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events)


async def turn_until(condition: Callable[[], bool], what: str) -> None:
    """Let the loop turn until something holds."""
    limit = time.monotonic() + 30
    while not condition():
        if time.monotonic() > limit:
            pytest.fail(f"waited 30 s for {what}")
        await asyncio.sleep(0)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[SimulatorService]:
    """A generated world of one day, standing still after its first listing."""
    service = SimulatorService(
        GeneratedWorld(11, 1),
        tmp_path / "key.pem",
        seed=11,
        key_type="ed25519",
        limits=RateLimits("test", *[10**6] * 4),
    )
    await service.start()
    while not service.exchange.series:
        service.driver.step_until(service.driver.peek_ts() or 0)
    yield service
    await service.stop()


@pytest.fixture
def signer(service: SimulatorService) -> Signer:
    key = load_private_key(str(service.private_key_path))
    return Signer(service.key_id, key, lambda: time.time_ns() // 1_000_000)


@pytest.fixture
async def make_client(service: SimulatorService) -> AsyncIterator[Callable[..., KalshiClient]]:
    clients: list[KalshiClient] = []

    def make(signer: Signer | None = None, **options: Any) -> KalshiClient:
        client = KalshiClient(service.rest_url, signer, **options)
        client.budget.read.resize(1e6, 1e6)
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
async def make_recorder(tmp_path: Path) -> AsyncIterator[Callable[..., Recorder]]:
    recorders: list[Recorder] = []

    def make(**options: Any) -> Recorder:
        folder = options.pop("folder", tmp_path / "recording")
        recorder = Recorder(folder, SteppingClock(), {"feed": "websocket"}, **options)
        recorder.start()
        recorders.append(recorder)
        return recorder

    yield make
    for recorder in recorders:
        await recorder.aclose()


@pytest.fixture
async def live(
    service: SimulatorService, signer: Signer, make_client: Callable[..., KalshiClient]
) -> AsyncIterator[Callable[..., Any]]:
    """Connects a recorded feed and waits until it is up."""
    tasks: list[asyncio.Task[None]] = []

    async def connect(recorder: Recorder, **options: Any) -> Collected:
        on_raw: OnRaw = recorder.on_raw
        series = sorted(service.exchange.series)
        feed = KalshiFeed(
            service.ws_url,
            signer,
            make_client(signer, on_body=recorder.on_body),
            SteppingClock(T0 + MINUTE),
            series=series,
            on_bad=lambda source, field: None,
            rng=lambda: 0.0,
            on_raw=on_raw,
            **options,
        )
        collected = Collected(feed)
        tasks.append(asyncio.create_task(collected.run()))
        await turn_until(lambda: collected.count(FeedUp) > 0, "the feed to be up")
        return collected

    yield connect
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
