"""Market and account data over the WebSocket, as ``core.ports.MarketFeed``.

One connection at a time. What a message means is decided in ``session``, which markets are followed in
``board``; this file connects, notices silence, and reconnects.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from src.api.board import Emit, MarketBoard
from src.api.budget import Sleep, loop_time
from src.api.client import KalshiClient
from src.api.doubt_time import DoubtTime
from src.api.dropping import Dropped, is_refusal, reason_of, stop_tasks
from src.api.extras import OnMessage
from src.api.following import OnBad, Refresh
from src.api.hosts import checked_url
from src.api.inflow import Inflow
from src.api.leg_check import LegCheck
from src.api.outflow import Outflow
from src.api.recorder import OnRaw
from src.api.recorder_tape import FeedTape
from src.api.rest import full_jitter
from src.api.session import FeedSession
from src.api.signing import Signer
from src.api.silence import Patience, watch_silence
from src.api.ws_socket import opening
from src.core.errors import FatalError, VenueError, WireError
from src.core.events import BookInvalid, Event, FeedDown
from src.core.ports import Clock
from src.core.units import Nanos

if TYPE_CHECKING:
    from src.api.delta_scan import DeltaScanner

BACKOFF_BASE_S, BACKOFF_CAP_S = 0.5, 30.0
# A connection that lived this long was healthy: the next failure counts as the first.
HEALTHY_S = 60.0
REFUSALS_TO_GIVE_UP = 2


class KalshiFeed:
    """Books, trades, market changes, and our orders and fills.

    ``series``: the series whose open and upcoming markets are described and watched by themselves.
    ``on_bad(source, field)`` is called for every message that breaks its contract. ``probe_after``,
    ``stale_after`` and ``silence_limit`` are those of ``Patience``, ``late_after`` that of ``Lateness``, by
    ``clock``. ``rediscover_every``: seconds between full readings of the series.
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
        self._patience = Patience(probe_after, stale_after, silence_limit)
        self._late_after = late_after
        self._rediscover_every = rediscover_every
        self._sleep = sleep
        self._rng = rng
        self._outflow = Outflow()
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
        outflow = self._outflow = Outflow()
        runner = self._runner = asyncio.create_task(self._run(), name="kalshi-feed")
        runner.add_done_callback(lambda _: outflow.end())
        try:
            while (item := await outflow.get()) is not None:
                events, frames = item
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
            await self._outflow.put(self._session.resync(tickers, reason, self._clock.now()))
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
        async with opening(self._url, self._signer.headers("GET", self._path)) as socket:
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
                watch_silence(
                    session,
                    self._patience,
                    lambda: self._heard_at,
                    lambda reason: self.resync(session.watched, reason),
                    self._flush,
                ),
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
                await self._outflow.put(events, frames=count)
            if session.commands.encoded:
                await self._flush()
            if session.broken:
                raise Dropped(session.broken)

    def _heard(self) -> None:
        self.frames_received += 1
        self._heard_at = loop_time()

    async def _describe(self, session: FeedSession) -> None:
        """Read the markets and subscribe to their books, then follow requests to read again."""
        put = self._outflow.put
        emit: Emit = put if self._tape is None else self._tape.descriptions(put)
        await self._flush()
        await self._board.describe(session, emit)
        await self._outflow.put(session.described(self._clock.now()))
        while True:
            await self._flush()
            await self._board.wait(self._rediscover_every)
            await self._board.refresh(session, emit)

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

    async def _down(self, reason: str) -> None:
        now = self._clock.now()
        books = tuple(sorted(self._board.watched))
        if self._tape is not None:
            self._tape.down(books, reason, now)
        ts = self._doubt.raised(now)
        invalid = (BookInvalid(books, reason, ts),) if books else ()
        await self._outflow.put((*invalid, FeedDown("market", reason, ts)))
