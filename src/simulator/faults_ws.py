"""Faults of the trading WebSocket: an outbox that loses, repeats, swaps, renumbers and holds frames."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from src.core.units import SECOND
from src.simulator.answers import KEY_ID
from src.simulator.faults import ActiveRule, FaultPlan, FrameFacts
from src.simulator.faults_answers import without
from src.simulator.faults_reset import reset_connection
from src.simulator.render import Json
from src.simulator.ws_connection import Connection, Outbox

_ACCOUNT_FRAMES = frozenset({"fill", "user_order", "market_position"})
_ERROR_TEXTS = {10: "Channel error", 25: "Subscription buffer overflow"}


class FaultyOutbox(Outbox):
    """The frames of one connection on their way through a plan."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        limit: int,
        plan: FaultPlan,
        monotonic: Callable[[], float],
    ) -> None:
        super().__init__(socket, limit)
        self.connection = Connection(self, request[KEY_ID])
        self._request = request
        self._plan = plan
        self._monotonic = monotonic
        self._silenced_by: ActiveRule | None = None
        self._numbering = _Numbering()
        self._overtaken: list[_Overtaken] = []
        self._acks: dict[int, Json] = {}
        self._held_back: list[Json] | None = None
        self._due: deque[float] = deque()
        self._timers: list[asyncio.TimerHandle] = []

    @property
    def is_silent(self) -> bool:
        """Whether nothing leaves, while the connection stays open."""
        return self._silenced_by is not None and self._plan.is_in_force(self._silenced_by)

    async def ping(self, payload: bytes) -> None:
        """Ping the client, unless silent; what is held up holds pings up too."""
        wait = self._due[-1] - self._monotonic() if self._due else 0.0
        if wait > 0:
            await self._plan.sleep(wait)
        if not self.is_silent:
            await super().ping(payload)

    def put(self, frame: Json) -> None:
        """Hand over a frame to the faults; what is left of it is written."""
        if self._held_back is not None and frame["type"] in _ACCOUNT_FRAMES:
            self._held_back.append(frame)
            return
        if self.is_silent or self._request.transport is None:
            return
        struck = {each.rule.fault: each for each in self._plan.on_frame(self._facts(frame))}
        if not struck.keys().isdisjoint({"ws.close", "key_revoked"}):
            reset_connection(self._request)
        elif "ws.silent" in struck:
            self._silenced_by = struck["ws.silent"]
        elif "ws.error" in struck and frame.get("sid") in self.connection.subscriptions:
            self._end_subscription(frame["sid"], struck["ws.error"].args["code"])
        else:
            self._deliver(self._numbering.renumbered(frame, struck), struck)

    def hold_account_frames(self) -> None:
        """Keep fills, orders and positions back until they are released."""
        self._held_back = []

    def release_account_frames(self) -> None:
        """Hand over what was kept back."""
        held, self._held_back = self._held_back or [], None
        for frame in held:
            self.put(frame)

    def discard(self) -> None:
        """Forget what is not written yet."""
        super().discard()
        self._due.clear()

    async def write(self) -> None:
        """Write frames when they are due, in order, until cancelled or the socket is gone."""
        try:
            while not self.socket.closed:
                await self._ready.wait()
                self._ready.clear()
                while self._frames:
                    wait = self._due[0] - self._monotonic()
                    if wait > 0:
                        await self._plan.sleep(wait)
                    if self._frames:
                        self._due.popleft()
                        await self.socket.send_str(self._frames.popleft())
        finally:
            for timer in self._timers:
                timer.cancel()

    # --- inside ----------------------------------------------------------------------------------

    def _facts(self, frame: Json) -> FrameFacts:
        msg = frame.get("msg")
        msg = msg if isinstance(msg, dict) else {}
        subscription = self.connection.subscriptions.get(frame.get("sid", 0))
        channel = subscription.channel if subscription else msg.get("channel", "")
        return FrameFacts(channel, msg.get("market_ticker", "") or msg.get("ticker", ""))

    def _end_subscription(self, sid: int, code: int) -> None:
        del self.connection.subscriptions[sid]
        self._send({"type": "error", "sid": sid, "msg": {"code": code, "msg": _ERROR_TEXTS[code]}})

    def _deliver(self, frame: Json, struck: dict[str, ActiveRule]) -> None:
        if "ws.drop" in struck:
            return
        if "deprecate_field" in struck:
            frame = without(frame, struck["deprecate_field"].args["field"])
        if "ws.merge_acks" in struck and frame["type"] == "ok" and "sid" in frame:
            self._merge(frame, struck["ws.merge_acks"].args["hold"])
            return
        if "ws.reorder" in struck:
            args = struck["ws.reorder"].args
            held = _Overtaken(frame, args["by"])
            self._overtaken.append(held)
            self._later(args["hold"], partial(self._catch_up, held))
            return
        wait = struck["ws.delay"].args["seconds"] / SECOND if "ws.delay" in struck else 0.0
        for _ in range(1 + (struck["ws.dup"].args["times"] if "ws.dup" in struck else 0)):
            self._send(frame, wait)
        for held in list(self._overtaken):
            held.by -= 1
            if held.by <= 0:
                self._catch_up(held)

    def _catch_up(self, held: _Overtaken) -> None:
        if held in self._overtaken:
            self._overtaken.remove(held)
            self._send(held.frame)

    def _merge(self, ack: Json, hold: int) -> None:
        """Take an acknowledgement out of the stream; the last of those held back stands for all."""
        sid = ack["sid"]
        self._numbering.take_out(sid)
        if sid not in self._acks:
            self._later(hold, partial(self._acknowledge, sid))
        self._acks[sid] = ack

    def _acknowledge(self, sid: int) -> None:
        self._send(self._numbering.put_in(self._acks.pop(sid)))

    def _send(self, frame: Json, wait: float = 0.0) -> None:
        self._due.append(self._monotonic() + wait if wait else 0.0)
        super().put(frame)

    def _later(self, nanos: int, action: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._timers = [timer for timer in self._timers if timer.when() > now and not timer.cancelled()]
        self._timers.append(loop.call_later(nanos / SECOND, action))


@dataclass(slots=True, eq=False)
class _Overtaken:
    """A frame that waits until ``by`` later ones have passed."""

    frame: Json
    by: int


class _Numbering:
    """The sequence numbers a client sees, which faults move away from the connection's own."""

    def __init__(self) -> None:
        self._offsets: dict[int, int] = {}
        self._last: dict[int, int] = {}

    def renumbered(self, frame: Json, struck: dict[str, ActiveRule]) -> Json:
        """The frame with the number its client is to see."""
        if "seq" not in frame:
            return frame
        sid, seq = frame["sid"], frame["seq"]
        offset = self._offsets.get(sid, 0)
        if "ws.gap" in struck:
            offset += struck["ws.gap"].args["by"]
        if "ws.seq_reset" in struck:
            offset = 1 - seq
        self._offsets[sid] = offset
        self._last[sid] = seq + offset
        return {**frame, "seq": seq + offset}

    def take_out(self, sid: int) -> None:
        """The frame numbered last does not exist."""
        self._offsets[sid] -= 1
        self._last[sid] -= 1

    def put_in(self, frame: Json) -> Json:
        """A frame taken out comes in behind the others after all."""
        sid = frame["sid"]
        self._offsets[sid] += 1
        self._last[sid] += 1
        return {**frame, "seq": self._last[sid]}


class FaultySockets:
    """Makes the connections of a faulty server, and reaches them all."""

    def __init__(self, plan: FaultPlan, monotonic: Callable[[], float]) -> None:
        self._plan = plan
        self._monotonic = monotonic
        self._outboxes: list[FaultyOutbox] = []

    def connect(self, request: web.Request, socket: web.WebSocketResponse, limit: int) -> Connection:
        """A connection whose frames pass through the plan."""
        outbox = FaultyOutbox(request, socket, limit, self._plan, self._monotonic)
        self._outboxes = [*(each for each in self._outboxes if not each.socket.closed), outbox]
        return outbox.connection

    @contextmanager
    def holding_account_frames(self, key_id: str) -> Iterator[None]:
        """Within, frames about the account's orders, fills and positions are kept back."""
        concerned = [each for each in self._outboxes if each.connection.key_id == key_id]
        for each in concerned:
            each.hold_account_frames()
        try:
            yield
        finally:
            for each in concerned:
                each.release_account_frames()
