"""A stub of the exchange in a process of its own, for benchmarks: it lists markets and sends book changes.

It checks nothing and signs nothing, so that as little as possible of the machine goes into it. Times are
``time.perf_counter_ns``, one clock for all processes of a machine on Linux.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from src.core.sides import BookSide
from src.core.units import DOLLAR_PRICE, Count, Price, format_count, format_price

BASE = "/trade-api/v2"
SERIES = "KXHIGHNY"
NEWS = "/sim/v1/weather"
MARKETS_PER_EVENT = 10
BOOKS_SID = 3
_SIDS = {"user_orders": 1, "fill": 2, "orderbook_delta": BOOKS_SID, "trade": 4, "market_lifecycle_v2": 5}
_MOST_MADE_UP_S = 0.01
_FLOOD_AT_ONCE = 100
_CONTENT_LENGTH = re.compile(r"(?i)\r\ncontent-length: *([0-9]+)")
_OPENING = (("yes", 3_500), ("no", 4_000))
_OPEN, _CLOSE = "2020-01-01T00:00:00Z", "2040-01-01T00:00:00Z"

LEGS = {BookSide.BID: "yes", BookSide.ASK: "no"}
Levels = dict[tuple[str, str, Price], Count]


def tickers(markets: int) -> list[str]:
    """The tickers of the first ``markets`` markets, ten to an event."""
    return [f"{SERIES}-{i // MARKETS_PER_EVENT:04d}-B{50 + i % MARKETS_PER_EVENT}.5" for i in range(markets)]


def event_of(ticker: str) -> str:
    """The event a market belongs to."""
    return ticker.rpartition("-")[0]


def market_body(ticker: str) -> dict[str, Any]:
    """A market that is open, on a one-cent grid."""
    return {
        "ticker": ticker,
        "event_ticker": event_of(ticker),
        "market_type": "binary",
        "title": "Highest temperature",
        "created_time": _OPEN,
        "open_time": _OPEN,
        "close_time": _CLOSE,
        "status": "active",
        "price_level_structure": "linear_cent",
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
        "exchange_index": 0,
    }


def ws_frame(text: bytes) -> bytes:
    """One unmasked text message of the WebSocket protocol."""
    head = b"\x81" + (bytes([len(text)]) if len(text) < 126 else b"\x7e" + len(text).to_bytes(2, "big"))
    return head + text


@dataclass(frozen=True, slots=True)
class Place:
    """A level of a book that the sender's ``turn``-th change is about."""

    turn: int
    ticker: str
    leg: str
    price: Price

    def delta(self, resting: Count) -> Count:
        """What the level gains or loses when ``resting`` is there."""
        return -resting if resting and self.turn % 3 == 0 else 100 + self.turn * 7_919 % 30_011


def place_of(turn: int, names: Sequence[str]) -> Place:
    """Where the ``turn``-th change happens: bids below 43 cents, asks from 50 cents on."""
    ticker = names[turn * 7 % len(names)]
    leg, price = ("yes", 2_000 + turn % 23 * 100) if turn % 2 else ("no", 5_000 + turn % 29 * 100)
    return Place(turn, ticker, leg, price)


async def at_pace(count: int, rate: int, step: Callable[[], None]) -> float:
    """``count`` steps, ``rate`` a second, a millisecond's worth at a time.

    A sender that was held up does not make up for it with a flood: it goes on at its pace. Returns the
    seconds it was late by in all.
    """
    begin, done, late = time.perf_counter(), 0, 0.0
    while done < count:
        await asyncio.sleep(0.001)
        elapsed = time.perf_counter() - begin - late
        late += max(0.0, elapsed - done / rate - _MOST_MADE_UP_S)
        due = min(count, int((time.perf_counter() - begin - late) * rate))
        while done < due:
            step()
            done += 1
    return late


class Books:
    """What the stub's books hold, and the messages that say so."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self._sizes = {name: dict.fromkeys(_OPENING, 100_000) for name in names}
        self.seq = 0
        self._turn = 0

    def snapshot(self, ticker: str, command: int | None = None) -> bytes:
        """The whole book; asks at YES prices, as the client subscribes to them."""
        self.seq += 1
        msg: dict[str, Any] = {"market_ticker": ticker, "yes_dollars_fp": [], "no_dollars_fp": []}
        for (leg, price), size in self._sizes[ticker].items():
            if size:
                msg[f"{leg}_dollars_fp"].append([format_price(price), format_count(size)])
        body = {"type": "orderbook_snapshot", "sid": BOOKS_SID, "seq": self.seq, "msg": msg}
        if command is not None:
            body["id"] = command
        return ws_frame(json.dumps(body, separators=(",", ":")).encode())

    def levels(self) -> Levels:
        """Every level that holds something."""
        return {
            (name, *level): size
            for name, sizes in self._sizes.items()
            for level, size in sizes.items()
            if size
        }

    def orderbook(self, ticker: str) -> dict[str, Any]:
        """A whole book as REST gives it: asks as bids for NO, at NO's own price."""
        legs: dict[str, list[tuple[str, str]]] = {"yes": [], "no": []}
        for (leg, price), size in self._sizes[ticker].items():
            if size:
                own = price if leg == "yes" else DOLLAR_PRICE - price
                legs[leg].append((format_price(own), format_count(size)))
        return {f"{leg}_dollars": levels for leg, levels in legs.items()}

    def delta(self, stamp_us: int) -> bytes:
        """The next change; ``ts_ms`` carries ``stamp_us`` so that the receiver can tell the delay."""
        place = place_of(self._turn, self.names)
        self._turn += 1
        ticker, leg, price = place.ticker, place.leg, place.price
        sizes = self._sizes[ticker]
        resting = sizes.get((leg, price), 0)
        delta = place.delta(resting)
        sizes[leg, price] = resting + delta
        self.seq += 1
        return ws_frame(
            f'{{"type":"orderbook_delta","sid":{BOOKS_SID},"seq":{self.seq},"msg":{{"market_ticker":"{ticker}",'
            f'"market_id":"0b7e5a2c-6a1f-4c7e-9a65-3f0d8d1f2a11","clock":{88_000 + self.seq},'
            f'"price_dollars":"{format_price(price)}","delta_fp":"{format_count(delta)}","side":"{leg}",'
            f'"ts_ms":{stamp_us},"ts":"2026-11-23T08:00:01.017Z"}}}}'.encode()
        )


class _Http(asyncio.Protocol):
    """As little of HTTP/1.1 as answers a client: ``answer(method, target, body)`` gives JSON."""

    def __init__(self, answer: Callable[[str, str, bytes], bytes]) -> None:
        self._answer = answer
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            head = self._waiting[:end].decode("ascii")
            length = _CONTENT_LENGTH.search(head)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._waiting) < size:
                return
            body, self._waiting = self._waiting[end + 4 : size], self._waiting[size:]
            method, target, _ = head.split(" ", 2)
            answer = self._answer(method, target, body)
            status = "201 Created" if method == "POST" else "200 OK"
            lines = f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(answer)}"
            self._transport.write("\r\n".join((*lines, "", "")).encode() + answer)


class Venue:
    """REST on one port, WebSocket on another. The instants at which orders arrive go to ``arrivals``."""

    def __init__(self, markets: int) -> None:
        self.books = Books(tickers(markets))
        self.socket: ServerConnection | None = None
        self.news: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self.arrivals: asyncio.Queue[int] = asyncio.Queue()

    def rest(self, method: str, target: str, body: bytes) -> bytes:
        """Answer a REST call."""
        if method == "POST":
            self.arrivals.put_nowait(time.perf_counter_ns())
            return json.dumps(_accepted(json.loads(body))).encode()
        url = urlsplit(target)
        status = parse_qs(url.query).get("status", [""])[0]
        return json.dumps(self._listing(url.path.removeprefix(BASE), status)).encode()

    def _listing(self, path: str, status: str) -> dict[str, Any]:
        if path.startswith("/series/"):
            return {"series": {"ticker": SERIES, "fee_type": "quadratic", "fee_multiplier": 1}}
        if path.endswith("/orderbook"):
            return {"orderbook_fp": self.books.orderbook(path.split("/")[2])}
        if path == "/exchange/user_data_timestamp":
            return {"as_of_time": datetime.now(UTC).isoformat()}
        if path != "/events":
            return _ACCOUNT[path]
        events: dict[str, list[dict[str, Any]]] = {}
        for name in self.books.names if status == "open" else ():
            events.setdefault(event_of(name), []).append(market_body(name))
        bodies = [
            {"event_ticker": event, "series_ticker": SERIES, "markets": markets}
            for event, markets in events.items()
        ]
        return {"events": bodies, "cursor": ""}

    async def connected(self, socket: ServerConnection) -> None:
        """Serve a WebSocket: of news, which also takes echoes, or of books."""
        is_news = socket.request is not None and socket.request.path == NEWS
        if is_news:
            self.news.put_nowait(socket)
        else:
            self.socket = socket
        with contextlib.suppress(ConnectionClosed):
            async for raw in socket:
                if is_news:
                    self.arrivals.put_nowait(time.perf_counter_ns())
                else:
                    await self._command(socket, json.loads(raw))

    async def _command(self, socket: ServerConnection, command: dict[str, Any]) -> None:
        """Acknowledge a subscription, list them, send a snapshot of every book asked for."""
        params = command.get("params", {})
        if command["cmd"] == "list_subscriptions":
            listed = [{"channel": channel, "sid": sid} for channel, sid in _SIDS.items()]
            await socket.send(json.dumps({"id": command["id"], "type": "ok", "msg": listed}))
        if params.get("action") == "get_snapshot":
            for ticker in params["market_tickers"]:
                socket.transport.write(self.books.snapshot(ticker, command["id"]))
        for channel in params.get("channels", ()):
            msg = {"channel": channel, "sid": _SIDS[channel]}
            await socket.send(json.dumps({"id": command["id"], "type": "subscribed", "msg": msg}))
            if channel == "orderbook_delta":
                for ticker in params["market_tickers"]:
                    socket.transport.write(self.books.snapshot(ticker))

    async def pace(self, count: int, rate: int) -> float:
        """Send ``count`` changes, ``rate`` a second; returns the seconds it was late by in all."""
        assert self.socket is not None
        write, delta = self.socket.transport.write, self.books.delta
        return await at_pace(count, rate, lambda: write(delta(time.perf_counter_ns() // 1_000)))

    async def flood(self, count: int) -> None:
        """Send ``count`` changes as fast as they are taken."""
        assert self.socket is not None
        for _ in range(0, count, _FLOOD_AT_ONCE):
            self.socket.transport.write(b"".join(self.books.delta(0) for _ in range(_FLOOD_AT_ONCE)))
            await self.socket.drain()


_ACCOUNT: dict[str, dict[str, Any]] = {
    "/portfolio/orders": {"orders": [], "cursor": ""},
    "/portfolio/fills": {"fills": [], "cursor": ""},
    "/portfolio/settlements": {"settlements": [], "cursor": ""},
    "/portfolio/positions": {"market_positions": [], "event_positions": [], "cursor": ""},
    "/portfolio/balance": {
        "balance": 100_000_000,
        "balance_dollars": "1000000.000000",
        "portfolio_value": 0,
        "updated_ts": 0,
    },
}


def _accepted(order: dict[str, Any]) -> dict[str, Any]:
    """The answer to an immediate-or-cancel order that found nothing."""
    return {
        "order_id": f"o-{order.get('client_order_id', '')}",
        "client_order_id": order.get("client_order_id", ""),
        "fill_count": "0.00",
        "remaining_count": "0.00",
        "ts_ms": time.time_ns() // 1_000_000,
    }


Script = Callable[[Venue, Connection], Any]


async def _serve(markets: int, script: Script, pipe: Connection) -> None:
    venue = Venue(markets)
    loop = asyncio.get_running_loop()
    http = await loop.create_server(lambda: _Http(venue.rest), "127.0.0.1", 0)
    async with serve(venue.connected, "127.0.0.1", 0, compression=None, ping_interval=None) as sockets:
        pipe.send((http.sockets[0].getsockname()[1], sockets.sockets[0].getsockname()[1]))
        await script(venue, pipe)


def _main(markets: int, script: Script, pipe: Connection) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(markets, script, pipe))


@contextmanager
def venue_process(markets: int, script: Script) -> Iterator[tuple[Connection, str, str]]:
    """A venue that runs ``script(venue, pipe)``; yields (pipe, REST base URL, WebSocket URL)."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_main, args=(markets, script, theirs), daemon=True)
    process.start()
    theirs.close()  # a venue that fails then ends the reading of ``ours``, instead of leaving it waiting
    try:
        rest, ws = ours.recv()
        yield ours, f"http://127.0.0.1:{rest}{BASE}", f"ws://127.0.0.1:{ws}/trade-api/ws/v2"
    finally:
        process.terminate()
        process.join()


async def asked(pipe: Connection) -> Any:
    """The next message of the other process, without blocking the loop."""
    return await asyncio.to_thread(pipe.recv)
