"""A small world and a real signed client for the simulator's tests."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from src.core.events import DailyMaximum, ForecastUpdate
from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus, Strike, StrikeKind
from src.core.units import HOUR, SECOND
from src.simulator.exchange import Exchange
from src.simulator.service import SimulatorService
from src.simulator.world import ListEvent, WorldEvent

T0 = 1_795_420_800 * SECOND
EVENT = "KXHIGHNY-26NOV23"
TICKER = f"{EVENT}-B50.5"
OTHER = f"{EVENT}-T57"


def make_market(ticker: str = TICKER, **changes: Any) -> Market:
    fields: dict[str, Any] = {
        "ticker": ticker,
        "event_ticker": EVENT,
        "series_ticker": "KXHIGHNY",
        "status": MarketStatus.INITIALIZED,
        "open_time": T0,
        "close_time": T0 + 24 * HOUR,
        "grid": LINEAR_CENT,
        "fees": FeeSchedule(),
        "strike": Strike(StrikeKind.BETWEEN, 50, 51),
        "title": "50° to 51°",
        "settlement_timer_seconds": 3600,
        "rules_primary": "If the maximum is between 50 and 51.",
    }
    return Market(**(fields | changes))


def listing(*markets: Market, ts: int = T0) -> ListEvent:
    return ListEvent(ts, EVENT, "KXHIGHNY", "Highest temperature in NYC", markets or (make_market(),))


def make_exchange(*markets: Market, **options: Any) -> Exchange:
    exchange = Exchange(seed=7, start=T0, **options)
    exchange.apply(listing(*markets))
    return exchange


@dataclass
class ScriptedWorld:
    """A world that is a list."""

    script: list[WorldEvent] = field(default_factory=lambda: [listing(make_market(), make_market(OTHER))])
    past: list[ForecastUpdate | DailyMaximum] = field(default_factory=list)
    kind: str = "generated"
    start: int = T0
    end: int = T0 + 48 * HOUR
    days: int = 1
    seed: int = 7

    def history(self) -> Iterable[ForecastUpdate | DailyMaximum]:
        return self.past

    def events(self) -> Iterator[WorldEvent]:
        return iter(self.script)


class SignedClient:
    """A Kalshi client of the tests' own: httpx and websockets, signing as the API's documentation says."""

    def __init__(self, service: SimulatorService, key_id: str, pem: bytes) -> None:
        self.service = service
        self.key_id = key_id
        self._key = serialization.load_pem_private_key(pem, None)
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.server.port}")

    def headers(self, method: str, path: str, skew_ms: int = 0) -> dict[str, str]:
        stamp = str(time.time_ns() // 1_000_000 + skew_ms)
        message = f"{stamp}{method}{path.partition('?')[0]}".encode()
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            raw = self._key.sign(message)
        else:
            assert isinstance(self._key, rsa.RSAPrivateKey)
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
            raw = self._key.sign(message, pss, hashes.SHA256())
        return {
            "KALSHI-ACCESS-KEY": self.key_id,
            "KALSHI-ACCESS-TIMESTAMP": stamp,
            "KALSHI-ACCESS-SIGNATURE": base64.b64encode(raw).decode(),
        }

    async def call(self, method: str, path: str, body: Any = None, **kwargs: Any) -> httpx.Response:
        full = f"/trade-api/v2{path}"
        return await self.http.request(method, full, json=body, headers=self.headers(method, full), **kwargs)

    async def get(self, path: str) -> Any:
        response = await self.call("GET", path)
        assert response.status_code == 200, response.text
        return response.json()

    async def create(self, **changes: Any) -> httpx.Response:
        body = {
            "ticker": TICKER,
            "side": "bid",
            "count": "10.00",
            "price": "0.4000",
            "time_in_force": "good_till_canceled",
            "self_trade_prevention_type": "taker_at_cross",
        }
        return await self.call("POST", "/portfolio/events/orders", body | changes)

    def connect(self) -> websockets.connect:
        headers = self.headers("GET", "/trade-api/ws/v2")
        return websockets.connect(self.service.ws_url, additional_headers=headers)


async def receive(socket: websockets.ClientConnection) -> dict[str, Any]:
    """The next frame, or a timeout."""
    async with asyncio.timeout(5):
        frame: dict[str, Any] = json.loads(await socket.recv())
        return frame


async def command(socket: websockets.ClientConnection, name: str, number: int, **params: Any) -> None:
    await socket.send(json.dumps({"id": number, "cmd": name, "params": params}))


@dataclass
class Served:
    """A started service and its client."""

    service: SimulatorService
    client: SignedClient

    @property
    def exchange(self) -> Exchange:
        return self.service.exchange


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Start a service over a world; everything is stopped at the end."""
    started: list[Served] = []

    async def start(world: ScriptedWorld | None = None, **options: Any) -> Served:
        path = tmp_path / f"key-{len(started)}.pem"
        options.setdefault("key_type", "ed25519")
        service = SimulatorService(world or ScriptedWorld(), path, **options)
        await service.start()
        served = Served(service, SignedClient(service, service.key_id, path.read_bytes()))
        started.append(served)
        return served

    yield start
    for served in started:
        await served.client.http.aclose()
        await served.service.stop()
