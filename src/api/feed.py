"""Market and account data over the WebSocket, as ``core.ports.MarketFeed``.

One connection at a time. What a message means is decided in ``session``, which markets are followed in
``board``; this file connects, notices silence, and reconnects.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from src.api.board import Emit, MarketBoard
from src.api.budget import Sleep, loop_time
from src.api.client import KalshiClient
from src.api.commands import BOOKS
from src.api.doubt_time import DoubtTime
from src.api.dropping import Dropped, is_refusal, reason_of, stop_tasks
from src.api.extras import OnMessage
from src.api.following import OnBad, Refresh
from src.api.hosts import checked_url
from src.api.inflow import Inflow
from src.api.leg_check import LegCheck
from src.api.recorder import OnRaw
from src.api.recorder_tape import FeedTape
from src.api.rest import full_jitter
from src.api.session import FeedSession
from src.api.signing import Signer
from src.core.errors import FatalError, VenueError, WireError
from src.core.events import BookInvalid, Event, FeedDown
from src.core.ports import Clock
from src.core.units import Nanos

if TYPE_CHECKING:
    from src.api.delta_scan import DeltaScanner

MAX_FRAME_BYTES = 4 * 1024 * 1024  # a snapshot of a 0.0001-dollar grid with every level occupied is 0.5 MB
MAX_QUEUED = 10_000  # beyond it reading stops, and the venue's own buffer ends the subscription
KEEPALIVE_S = 10.0
OPEN_TIMEOUT_S = 10.0
BACKOFF_BASE_S, BACKOFF_CAP_S = 0.5, 30.0
# A connection that lived this long was healthy: the next failure counts as the first.
HEALTHY_S = 60.0
REFUSALS_TO_GIVE_UP = 2
# Snapshots that do not come are asked for again as rarely as five times the wait before a probe.
_PROBES_PER_REQUEST = 5

# The library logs handshake headers at DEBUG; they carry the key's id and a signature.
_LOG = logging.getLogger("src.api.websocket")
_LOG.setLevel(logging.INFO)


class KalshiFeed:
    """Books, trades, market changes, and our orders and fills.

    ``series``: the series whose open and upcoming markets are described and watched by themselves.
    ``on_bad(source, field)`` is called for every message that breaks its contract. ``probe_after``,
    ``stale_after`` and ``silence_limit`` are seconds without a message: after the first the server is asked
    something, after the second no book is vouched for until it came anew, after the third the connection is
    dead. ``late_after`` is that of ``FeedSession``, by ``clock``. ``rediscover_every``: seconds between full
    readings of the series.
    ``extras``: channels of ``commands.EXTRAS`` to follow too, whose messages go to ``on_message``.
    ``on_raw`` gets every message and step for a recording (``recorder_tape``).
    """

    def __init__(
        self,
        ws_url: str,
        signer: Signer,
        client: KalshiClient,
        clock: Clock,
        *,
        series: Sequence[str],
        on_bad: OnBad,
        allow_production: bool = False,
        probe_after: float = 1.0,
        stale_after: float = 2.5,
        silence_limit: float = 30.0,
        late_after: Nanos | None = None,
        rediscover_every: float = 600.0,
        sleep: Sleep = asyncio.sleep,
        rng: Callable[[], float] = random.random,
        on_raw: OnRaw | None = None,
        extras: Sequence[str] = (),
        on_message: OnMessage | None = None,
    ) -> None:
        if extras and on_message is None:
            raise ValueError(f"extras {list(extras)} need an on_message that takes their messages")
        self._client = client
        self._extras = set(extras)
        self._on_message = on_message
        self._tape = None if on_raw is None else FeedTape(on_raw, clock)
        self._url = checked_url(ws_url, ("wss", "ws"), allow_production=allow_production)
        self._path = urlsplit(self._url).path
        self._signer = signer
        self._clock = clock
        self._on_bad = on_bad
        self._board = MarketBoard(client, clock, series, on_bad, sleep=sleep, rng=rng)
        self._probe_after = probe_after
        self._stale_after = stale_after
        self._late_after = late_after
        self._silence_limit = silence_limit
        self._rediscover_every = rediscover_every
        self._sleep = sleep
        self._rng = rng
        self._queue: asyncio.Queue[tuple[tuple[Event, ...], int] | None] = asyncio.Queue()
        self._queued = 0  # messages whose events wait, and what else waits
        self._room = asyncio.Event()
        self._session: FeedSession | None = None
        self._socket: ClientConnection | None = None
        self._runner: asyncio.Task[None] | None = None
        self._heard_at = 0.0
        self._account_down = False
        self._doubt = DoubtTime()
        self._make_scanner: Callable[[], DeltaScanner] | None = None
        self.frames_received = 0
        """Messages read from the socket."""
        self.frames_handled = 0
        """Messages whose events have all been consumed (the stream was asked for the next event)."""
        self.frames_unknown = 0
        """Messages of a type this system does not know; they are skipped."""
        self.frames_malformed = 0
        """Messages that broke their contract."""
        self.reconnects = 0

    @property
    def is_settled(self) -> bool:
        """Connected, every market described, nothing asked for and not yet answered."""
        session = self._session
        if session is None or self._board.is_busy or session.commands.encoded:
            return False
        return session.is_described and not session.is_waiting

    # --- use -------------------------------------------------------------------------------------

    async def stream(self) -> AsyncIterator[Event]:
        """Yield events until cancelled or closed. One stream at a time.

        Raises ``FatalError`` when the exchange refuses the key twice in a row.
        """
        queue = self._queue = asyncio.Queue()
        self._queued = 0
        runner = self._runner = asyncio.create_task(self._run(), name="kalshi-feed")
        runner.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (item := await queue.get()) is not None:
                events, frames = item
                self._queued -= max(frames, 1)
                self._room.set()
                for event in events:
                    yield event
                self.frames_handled += frames
            if not runner.cancelled():
                runner.result()
        finally:
            await stop_tasks([runner])

    def read_compiled(self, make: Callable[[], DeltaScanner]) -> None:
        """From now on have runs of changes read by a scanner, of which each connection makes its own."""
        self._make_scanner = make
        if self._session is not None:
            self._session.read_by(make())

    @property
    def watched(self) -> int:
        """Markets followed."""
        return len(self._board.watched)

    async def watch(self, tickers: Iterable[str]) -> None:
        """Follow these markets too; one not described yet is read first, so that its book can be used."""
        new = set(tickers) - self._board.watched
        self._board.watched |= new
        described = self._board.describable(new)
        for ticker in sorted(new - described):
            self._board.ask(Refresh("market", ticker))
        if self._session is not None and self._session.is_described:
            self._session.watch(described)
            await self._flush()

    async def unwatch(self, tickers: Iterable[str]) -> None:
        """Follow these markets no longer (until they are discovered again)."""
        gone = self._board.watched & set(tickers)
        self._board.watched -= gone
        if self._session is not None:
            self._session.unwatch(gone)
            await self._flush()

    async def resync(self, tickers: Iterable[str], reason: str) -> None:
        """Ask for new snapshots of books that do not fit their changes."""
        if self._session is not None:
            await self._emit(self._session.resync(tickers, reason, self._clock.now()))
            await self._flush()

    @property
    def subscriptions(self) -> dict[str, int]:
        """Subscription id by channel, as the venue confirmed them on this connection."""
        return {} if self._session is None else self._session.subscriptions.confirmed

    async def drop_extras(self, channels: Iterable[str]) -> None:
        """Follow these extra channels no longer."""
        gone = self._extras & set(channels)
        self._extras -= gone
        if self._session is not None:
            self._session.unsubscribe_extras(gone)
            await self._flush()

    async def aclose(self) -> None:
        """End the stream and close the connection. The client stays open: it is the caller's."""
        if self._runner is not None:
            await stop_tasks([self._runner])

    # --- connections -----------------------------------------------------------------------------

    async def _run(self) -> None:
        """Connect again and again; ends only by a ``FatalError`` or cancellation."""
        failures = refusals = 0
        while True:
            started = loop_time()
            try:
                await self._connection()
            except (VenueError, WireError, Dropped, WebSocketException, OSError, TimeoutError) as error:
                await self._down(reason_of(error))
                refusals = refusals + 1 if is_refusal(error) else 0
                if isinstance(error, FatalError):
                    raise
                if refusals >= REFUSALS_TO_GIVE_UP:
                    raise FatalError(
                        f"{reason_of(error)}: check KALSHI_API_KEY, KALSHI_API_SECRET and the clock",
                        code="unauthorized",
                    ) from error
            self.reconnects += 1
            failures = 1 if loop_time() - started >= HEALTHY_S else failures + 1
            await self._sleep(full_jitter(failures, self._rng, BACKOFF_BASE_S, BACKOFF_CAP_S))

    async def _connection(self) -> None:
        """One connection, from the handshake until it fails; always raises."""
        async with connect(
            self._url,
            additional_headers=self._signer.headers("GET", self._path),
            open_timeout=OPEN_TIMEOUT_S,
            ping_interval=KEEPALIVE_S,
            ping_timeout=KEEPALIVE_S,
            close_timeout=1.0,
            max_size=MAX_FRAME_BYTES,
            compression=None,
            proxy=None,
            logger=_LOG,
        ) as socket:
            make = FeedSession if self._tape is None else self._tape.session
            session = make(
                self._board,
                self._on_bad,
                self._doubt,
                account_down=self._account_down,
                late_after=self._late_after,
            )
            if self._make_scanner is not None:
                session.read_by(self._make_scanner())
            self._session, self._socket = session, socket
            self._heard_at = loop_time()
            session.open()
            if self._on_message is not None:
                session.subscribe_extras(self._extras, self._on_message)
            inflow = Inflow(socket, self._heard)
            parts = (
                inflow.fill(),
                self._read(inflow, session),
                self._describe(session),
                self._watch_silence(session),
            )
            tasks = [asyncio.create_task(part) for part in parts]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                self._session = self._socket = None
                self._account_down = session.account_down
                self.frames_unknown += session.unknown_frames
                self.frames_malformed += session.malformed_frames
                await stop_tasks(tasks)

    async def _read(self, inflow: Inflow, session: FeedSession) -> None:
        """Handle messages until the connection ends. Those that arrived together have one time of receipt."""
        legs = LegCheck(self._client)
        while True:
            frames = await inflow.take()
            handled = session.on_frames(frames, self._clock.now())
            if legs.is_due:
                for events, _ in handled:
                    await legs.examine(events)
            for events, count in handled:
                await self._emit(events, frames=count)
            if session.commands.encoded:
                await self._flush()
            if session.broken:
                raise Dropped(session.broken)

    def _heard(self) -> None:
        self.frames_received += 1
        self._heard_at = loop_time()

    async def _describe(self, session: FeedSession) -> None:
        """Read the markets and subscribe to their books, then follow requests to read again."""
        emit: Emit = self._emit if self._tape is None else self._tape.descriptions(self._emit)
        await self._flush()
        await self._board.describe(session, emit)
        await self._emit(session.described(self._clock.now()))
        while True:
            await self._flush()
            await self._board.wait(self._rediscover_every)
            await self._board.refresh(session, emit)

    async def _watch_silence(self, session: FeedSession) -> None:
        """Doubt, then give up, a connection that says nothing, or does not acknowledge what it was asked.

        A market may well be quiet, but the answer to a question that does not come means that messages are
        held up, and that books have moved on unseen.
        """
        waiting_since: float | None = None
        probed_at = asked_at = doubted_at = 0.0
        seq, told_at = session.subscriptions.last_seq(BOOKS), self._heard_at
        while True:
            await asyncio.sleep(min(self._probe_after, self._stale_after / 5))
            now = loop_time()
            silent = now - self._heard_at
            if silent >= self._stale_after and doubted_at <= self._heard_at:
                doubted_at = now
                reason = f"nothing heard for {silent:.1f} s"
                await self._emit(session.resync(session.watched, reason, self._clock.now()))
                await self._flush()
            if silent >= self._silence_limit:
                raise Dropped(f"no message for {silent:.0f} s")
            waiting_since = (waiting_since or now) if session.is_waiting else None
            if waiting_since is not None and now - waiting_since >= self._silence_limit:
                raise Dropped("a subscription was not acknowledged")
            if (last := session.subscriptions.last_seq(BOOKS)) != seq:
                seq, told_at = last, now
            is_quiet = now - min(told_at, self._heard_at) >= self._probe_after
            if is_quiet and now - probed_at >= self._probe_after:
                probed_at = now
                session.probe()
            if now - asked_at >= _PROBES_PER_REQUEST * self._probe_after:
                asked_at = now
                session.ask_again()
            await self._flush()

    # --- inside ----------------------------------------------------------------------------------

    async def _flush(self) -> None:
        """Send the commands that wait."""
        session, socket = self._session, self._socket
        if session is None or socket is None:
            return
        try:
            while session.commands.encoded:
                await socket.send(session.commands.encoded.popleft(), text=True)
        except ConnectionClosed:
            return  # the reader reports it

    async def _emit(self, events: tuple[Event, ...], *, frames: int = 0) -> None:
        while self._queued >= MAX_QUEUED:
            self._room.clear()
            await self._room.wait()
        if events or frames:
            self._queued += max(frames, 1)
            self._queue.put_nowait((events, frames))

    async def _down(self, reason: str) -> None:
        now = self._clock.now()
        books = tuple(sorted(self._board.watched))
        if self._tape is not None:
            self._tape.down(books, reason, now)
        ts = self._doubt.raised(now)
        invalid = (BookInvalid(books, reason, ts),) if books else ()
        await self._emit((*invalid, FeedDown("market", reason, ts)))
