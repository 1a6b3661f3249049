"""A small exchange on loopback: real sockets, checked signatures, bodies shaped by the published contract."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from src.api.budget import RateBudget
from src.api.client import KalshiClient
from src.api.signing import Signer
from src.core.units import MILLISECOND

KEY_ID = "1f0c3c5e-0000-4000-8000-5d3c0d6f0001"
BASE = "/trade-api/v2"
WALL_MS = 1_795_334_400_000
OPEN = "2026-11-22T15:00:00Z"
CLOSE = "2026-11-24T05:00:00Z"


@dataclass
class FakeClock:
    """World time in nanoseconds, moved by hand."""

    at: int = WALL_MS * MILLISECOND

    def now(self) -> int:
        self.at += 1
        return self.at


@dataclass
class WallClock:
    """Wall milliseconds; every reading is later, so that fresh signatures differ."""

    ms: int = WALL_MS

    def __call__(self) -> int:
        self.ms += 1
        return self.ms


@dataclass
class Pause:
    """An injected sleep that returns at once and remembers what was asked."""

    waits: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)


def verify(public: Any, headers: Any, method: str, path: str) -> bool:
    """Whether the three headers sign this request, as the venue checks it."""
    try:
        message = (headers["KALSHI-ACCESS-TIMESTAMP"] + method + path).encode()
        signature = base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"])
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(signature, message)
        else:
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            public.verify(signature, message, pss, hashes.SHA256())
    except (KeyError, ValueError, InvalidSignature):
        return False
    return bool(headers["KALSHI-ACCESS-KEY"] == KEY_ID)


def market_body(ticker: str, **changes: Any) -> dict[str, Any]:
    """A market as the venue lists it."""
    body = {
        "ticker": ticker,
        "event_ticker": ticker.rpartition("-")[0],
        "market_type": "binary",
        "title": "Highest temperature in NYC",
        "yes_sub_title": "50° to 51°",
        "created_time": "2026-11-22T14:00:00.123456Z",
        "open_time": OPEN,
        "close_time": CLOSE,
        "settlement_timer_seconds": 3600,
        "status": "active",
        "result": "",
        "expiration_value": "",
        "rules_primary": "If the highest temperature ...",
        "price_level_structure": "linear_cent",
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
        "strike_type": "between",
        "floor_strike": 50,
        "cap_strike": 51,
        "exchange_index": 0,
    }
    return {**body, **changes}


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """A request that arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: Any
    body: bytes


class StubExchange:
    """Answers from ``routes`` (``"GET /path"`` -> JSON, or a handler); what is not scripted is 404."""

    def __init__(self, public: Any) -> None:
        self.public = public
        self.requests: list[Seen] = []
        self.routes: dict[str, Any] = {}
        self.series_fee: dict[str, Any] = {"fee_type": "quadratic", "fee_multiplier": 1}
        self.event_terms: dict[str, Any] = {}
        self.markets: dict[str, dict[str, Any]] = {}
        self.sockets: list[web.WebSocketResponse] = []
        self.handshakes: list[Any] = []
        self.refuse_handshakes = 0
        self.commands: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.all_commands: list[dict[str, Any]] = []
        self.mute = False
        self.port = 0

    # --- REST ------------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{BASE}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/trade-api/ws/v2"

    def sent(self, method: str, path: str) -> list[Seen]:
        return [seen for seen in self.requests if seen.method == method and seen.path == path]

    async def rest(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix(BASE)
        body = await request.read()
        self.requests.append(Seen(request.method, path, dict(request.query), request.headers, body))
        signed = "KALSHI-ACCESS-KEY" in request.headers
        if (signed or path.startswith(("/portfolio", "/account"))) and not verify(
            self.public, request.headers, request.method, request.rel_url.raw_path
        ):
            code = "authentication_error"
            error = {"code": code, "message": code, "details": "INCORRECT_API_KEY_SIGNATURE"}
            return web.json_response({"error": error}, status=401)
        route = self.routes.get(f"{request.method} {path}")
        if route is None:
            route = self._listing(path, request.query)
        if callable(route):
            response: web.StreamResponse = await route(request)
            return response
        if route is None:
            return web.json_response({"error": {"code": "not_found", "message": "not found"}}, status=404)
        return web.json_response(route)

    def _listing(self, path: str, query: Any) -> Any:
        head, _, last = path.rpartition("/")
        if head == "/series":
            return {"series": {"ticker": last, "title": last, **self.series_fee}}
        if head == "/events":
            return {"event": self._event(last)}
        if path == "/events":
            wanted = {"open": "active", "unopened": "initialized"}[query["status"]]
            tickers = {m["event_ticker"] for m in self.markets.values() if m["status"] == wanted}
            events = [self._event(ticker) for ticker in sorted(tickers)]
            return {
                "events": [e for e in events if e["series_ticker"] == query["series_ticker"]],
                "cursor": "",
            }
        if path == "/markets":
            found = list(self.markets.values())
            if "tickers" in query:
                found = [m for m in found if m["ticker"] in query["tickers"].split(",")]
            if "event_ticker" in query:
                found = [m for m in found if m["event_ticker"] == query["event_ticker"]]
            return {"markets": found, "cursor": ""}
        return None

    def _event(self, event_ticker: str) -> dict[str, Any]:
        return {
            "event_ticker": event_ticker,
            "series_ticker": event_ticker.partition("-")[0],
            "title": event_ticker,
            "markets": [m for m in self.markets.values() if m["event_ticker"] == event_ticker],
            **self.event_terms,
        }

    # --- WebSocket -------------------------------------------------------------------------------

    async def socket(self, request: web.Request) -> web.StreamResponse:
        self.handshakes.append(request.headers)
        if self.refuse_handshakes or not verify(self.public, request.headers, "GET", request.path):
            self.refuse_handshakes = max(0, self.refuse_handshakes - 1)
            return web.Response(status=401)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        sids: dict[str, int] = {}
        async for message in socket:
            if message.type is not WSMsgType.TEXT or self.mute:
                continue
            command = json.loads(message.data)
            self.all_commands.append(command)
            await self.commands.put(command)
            if command["cmd"] == "subscribe":
                for channel in command["params"]["channels"]:
                    sid = sids.setdefault(channel, len(sids) + 1)
                    msg = {"channel": channel, "sid": sid}
                    await socket.send_json({"id": command["id"], "type": "subscribed", "msg": msg})
            elif command["cmd"] == "list_subscriptions":
                listed = [{"channel": channel, "sid": sid} for channel, sid in sids.items()]
                await socket.send_json({"id": command["id"], "type": "ok", "msg": listed})
        return socket

    async def command(self, name: str, action: str = "") -> dict[str, Any]:
        """The next command of this kind (others are skipped)."""
        async with asyncio.timeout(10):
            while True:
                command = await self.commands.get()
                if command["cmd"] == name and command["params"].get("action", "") == action:
                    return command

    async def send(self, *frames: dict[str, Any] | str) -> None:
        for frame in frames:
            text = frame if isinstance(frame, str) else json.dumps(frame)
            await self.sockets[-1].send_str(text)


@pytest.fixture(scope="session")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def wall() -> WallClock:
    return WallClock()


@pytest.fixture
def signer(rsa_key: rsa.RSAPrivateKey, wall: WallClock) -> Signer:
    return Signer(KEY_ID, rsa_key, wall)


@pytest.fixture
def pause() -> Pause:
    return Pause()


@pytest.fixture
def budget() -> RateBudget:
    """A budget that never makes a test wait."""
    budget = RateBudget()
    budget.read.resize(1e6, 1e6)
    budget.write.resize(1e6, 1e6)
    budget.balance.resize(1e6, 1e6)
    return budget


@pytest.fixture
async def exchange(rsa_key: rsa.RSAPrivateKey) -> AsyncIterator[StubExchange]:
    stub = StubExchange(rsa_key.public_key())
    app = web.Application()
    app.router.add_get("/trade-api/ws/v2", stub.socket)
    app.router.add_route("*", BASE + "/{tail:.*}", stub.rest)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stub.port = runner.addresses[0][1]
    yield stub
    for socket in stub.sockets:
        await socket.close()
    await runner.cleanup()


@pytest.fixture
async def client(
    exchange: StubExchange, signer: Signer, budget: RateBudget, pause: Pause
) -> AsyncIterator[KalshiClient]:
    client = KalshiClient(exchange.base_url, signer, budget=budget, sleep=pause, rng=lambda: 1.0)
    yield client
    await client.aclose()


@pytest.fixture
def make_market() -> Callable[..., dict[str, Any]]:
    return market_body


@pytest.fixture
def check_signature() -> Callable[..., bool]:
    return verify
