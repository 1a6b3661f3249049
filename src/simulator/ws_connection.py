"""One trading WebSocket: its subscriptions, their sequence numbers, and frames waiting to be written."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from aiohttp import web

from src.simulator.answers import KEY_ID, json_text
from src.simulator.render import Json

SEQUENCED = frozenset(
    {
        "orderbook_delta",
        "trade",
        "market_lifecycle_v2",
        "multivariate_market_lifecycle",
        "order_group_updates",
        "communications",
    }
)
UNSEQUENCED = frozenset({"ticker", "fill", "user_orders", "market_positions"})
CHANNELS = SEQUENCED | UNSEQUENCED
# Channels that take no list of markets: their subscriptions are about everything.
UNFILTERED = frozenset(
    {"market_lifecycle_v2", "multivariate_market_lifecycle", "order_group_updates", "communications"}
)
BUFFER_OVERFLOW = 25


@dataclass(slots=True)
class Subscription:
    """A channel of a connection. ``tickers`` None means all markets; ``seq`` is the last number sent."""

    sid: int
    channel: str
    tickers: dict[str, None] | None
    use_yes_price: bool = False
    skip_ticker_ack: bool = False
    seq: int = 0

    def wants(self, ticker: str) -> bool:
        """Whether messages about a market are to be sent."""
        return self.tickers is None or ticker in self.tickers

    def next_seq(self) -> int:
        """The sequence number of the next message."""
        self.seq += 1
        return self.seq


@dataclass(slots=True)
class Outbox:
    """Frames waiting for a socket. ``frames_sent`` counts what was handed over to be written."""

    socket: web.WebSocketResponse
    limit: int
    frames_sent: int = 0
    _frames: deque[str] = field(default_factory=deque)
    _ready: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_full(self) -> bool:
        """Whether the client reads too slowly to be sent more."""
        return len(self._frames) >= self.limit

    def put(self, frame: Json) -> None:
        """Hand over a frame."""
        self._frames.append(json_text(frame))
        self.frames_sent += 1
        self._ready.set()

    async def ping(self, payload: bytes) -> None:
        """Ping the client."""
        await self.socket.ping(payload)

    def discard(self) -> None:
        """Forget what is not written yet."""
        self.frames_sent -= len(self._frames)
        self._frames.clear()

    async def write(self) -> None:
        """Write frames until cancelled or the socket is gone."""
        while not self.socket.closed:
            await self._ready.wait()
            self._ready.clear()
            while self._frames:
                await self.socket.send_str(self._frames.popleft())


class Connection:
    """A client's trading connection, made with a key."""

    def __init__(self, outbox: Outbox, key_id: str) -> None:
        self.outbox = outbox
        self.key_id = key_id
        self.subscriptions: dict[int, Subscription] = {}
        self._last_sid = 0

    def subscription_of(self, channel: str) -> Subscription | None:
        """The connection's subscription of a channel: there is at most one."""
        return next((each for each in self.subscriptions.values() if each.channel == channel), None)

    def add_subscription(self, channel: str, tickers: dict[str, None] | None) -> Subscription:
        """Open a subscription with the next sid."""
        self._last_sid += 1
        subscription = Subscription(self._last_sid, channel, tickers)
        self.subscriptions[subscription.sid] = subscription
        return subscription

    def reply(self, now_ms: int, frame: Json, command_id: int) -> None:
        """Send a frame that answers a command (an id of 0 is none)."""
        named = {"id": command_id, **frame} if command_id else frame
        self._put({**named, "sending_ts_ms": now_ms})

    def publish(
        self, now_ms: int, subscription: Subscription, kind: str, msg: Json, command_id: int = 0
    ) -> None:
        """Send a message of a subscription, numbered where its channel is."""
        frame: Json = {"type": kind, "sid": subscription.sid}
        if subscription.channel in SEQUENCED:
            frame["seq"] = subscription.next_seq()
        self.reply(now_ms, {**frame, "msg": msg}, command_id)

    def _put(self, frame: Json) -> None:
        if not self.outbox.is_full:
            self.outbox.put(frame)
            return
        # Terminal for every subscription: the client must subscribe again.
        self.outbox.discard()
        error = {"code": BUFFER_OVERFLOW, "msg": "Subscription buffer overflow"}
        for sid, subscription in self.subscriptions.items():
            numbered = {"seq": subscription.next_seq()} if subscription.channel in SEQUENCED else {}
            self.outbox.put({"type": "error", "sid": sid, **numbered, "msg": error})
        self.subscriptions.clear()


def plain_connection(request: web.Request, socket: web.WebSocketResponse, limit: int) -> Connection:
    """A connection of the key that signed ``request``; at most ``limit`` frames wait."""
    return Connection(Outbox(socket, limit), request[KEY_ID])
