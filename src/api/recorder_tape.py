"""What a feed leaves on tape: every frame, and every decision that is not in the frames.

The frames alone do not say when a book was asked for, which markets had been described by then, or when
the connection was given up. Those few steps are recorded between the frames, in order, so that ``replay``
can lead the same session logic through the same states.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeAlias

import msgspec

from src.api.doubt_time import DoubtTime
from src.api.extras import OnMessage
from src.api.following import Board, OnBad
from src.api.recorder import OnRaw
from src.api.session import FeedSession, Handled
from src.core.events import Event, MarketUpdate
from src.core.ports import Clock
from src.core.units import Nanos

Emit: TypeAlias = Callable[[tuple[Event, ...]], Awaitable[None]]

FRAME = "ws"
OPEN, DESCRIBED, WATCH, UNWATCH = "open", "described", "watch", "unwatch"
EXTRAS_ON, EXTRAS_OFF = "extras", "no-extras"
RESYNC, PROBE, ASK_AGAIN, MARKET, DOWN = "resync", "probe", "ask-again", "market", "down"


class Opened(msgspec.Struct):
    """A connection was opened, following these series; messages later than ``late_after`` ns raise doubt."""

    series: tuple[str, ...]
    late_after: Nanos | None = None


class Doubt(msgspec.Struct):
    """Books that are not vouched for any more, and why (a resynchronisation, or a lost connection)."""

    tickers: tuple[str, ...]
    reason: str


class TapedSession(FeedSession):
    """A ``FeedSession`` whose every step is recorded before it is taken."""

    def __init__(
        self,
        board: Board,
        on_bad: OnBad,
        doubt: DoubtTime,
        on_raw: OnRaw,
        clock: Clock,
        *,
        account_down: bool = False,
        late_after: Nanos | None = None,
    ) -> None:
        super().__init__(board, on_bad, doubt, account_down=account_down, late_after=late_after)
        self._opened = Opened(tuple(board.series), late_after)
        self._on_raw = on_raw
        self._clock = clock
        # What a frame makes the session do by itself happens again in the replay, from the frame.
        self._in_frame = False

    def on_frame(self, raw: bytes | str, ts: Nanos) -> tuple[Event, ...]:
        """Record a message, then handle it."""
        self._on_raw(FRAME, raw.encode() if isinstance(raw, str) else raw, ts)
        self._in_frame = True
        try:
            return super().on_frame(raw, ts)
        finally:
            self._in_frame = False

    def on_frames(self, frames: Sequence[bytes], ts: Nanos) -> list[Handled]:
        """Record the messages that are handled (none behind one that breaks the connection)."""
        self._in_frame = True
        taken = len(frames)
        try:
            handled = super().on_frames(frames, ts)
            taken = sum(count for _, count in handled)
            return handled
        finally:
            self._in_frame = False
            for frame in frames[:taken]:
                self._on_raw(FRAME, frame, ts)

    def open(self) -> None:
        """Record the connection's start, then subscribe."""
        self._step(OPEN, self._opened)
        super().open()

    def subscribe_extras(self, channels: Iterable[str], on_message: OnMessage) -> None:
        """Record which further channels are wanted (their confirmation is waited for), then subscribe."""
        wanted = sorted(channels)
        if wanted:
            self._step(EXTRAS_ON, wanted)
        super().subscribe_extras(wanted, on_message)

    def unsubscribe_extras(self, channels: Iterable[str]) -> None:
        """Record which further channels are wanted no longer, then unsubscribe."""
        gone = sorted(channels)
        self._step(EXTRAS_OFF, gone)
        super().unsubscribe_extras(gone)

    def described(self, ts: Nanos) -> tuple[Event, ...]:
        """Record that the markets have been read."""
        self._on_raw(DESCRIBED, b"", ts)
        return super().described(ts)

    def watch(self, tickers: Iterable[str]) -> None:
        """Record which books are wanted, then subscribe."""
        new = sorted(set(tickers) - self.watched)
        if new:
            self._step(WATCH, new)
            super().watch(new)

    def unwatch(self, tickers: Iterable[str]) -> None:
        """Record which books are wanted no longer, then unsubscribe."""
        gone = sorted(set(tickers))
        self._step(UNWATCH, gone)
        super().unwatch(gone)

    def resync(self, tickers: Iterable[str], reason: str, ts: Nanos) -> tuple[Event, ...]:
        """Record the doubt, then ask for snapshots."""
        doubtful = tuple(tickers)
        if not self._in_frame:
            self._on_raw(RESYNC, msgspec.json.encode(Doubt(doubtful, reason)), ts)
        return super().resync(doubtful, reason, ts)

    def probe(self) -> None:
        """Record the question (it takes a command's number), then ask it."""
        self._step(PROBE, None)
        super().probe()

    def ask_again(self) -> None:
        """Record the repeated request, then make it."""
        self._step(ASK_AGAIN, None)
        super().ask_again()

    def _step(self, kind: str, what: object) -> None:
        if not self._in_frame:
            self._on_raw(kind, b"" if what is None else msgspec.json.encode(what), self._clock.now())


class FeedTape:
    """Records one feed: its sessions, the markets described to it, and its losses of connection."""

    def __init__(self, on_raw: OnRaw, clock: Clock) -> None:
        self._on_raw = on_raw
        self._clock = clock

    def session(
        self,
        board: Board,
        on_bad: OnBad,
        doubt: DoubtTime,
        *,
        account_down: bool = False,
        late_after: Nanos | None = None,
    ) -> FeedSession:
        """The session of a new connection."""
        return TapedSession(
            board, on_bad, doubt, self._on_raw, self._clock, account_down=account_down, late_after=late_after
        )

    def descriptions(self, emit: Emit) -> Emit:
        """``emit``, with the market descriptions that pass through recorded."""

        async def taped(events: tuple[Event, ...]) -> None:
            for event in events:
                if isinstance(event, MarketUpdate):
                    self._on_raw(MARKET, msgspec.json.encode(event.market), event.ts_recv)
            await emit(events)

        return taped

    def down(self, tickers: Iterable[str], reason: str, ts: Nanos) -> None:
        """The connection is lost, and with it what was known of these books."""
        self._on_raw(DOWN, msgspec.json.encode(Doubt(tuple(tickers), reason)), ts)
