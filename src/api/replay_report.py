"""What a recorded stream holds and whether its books hold together.

Frames go through the live parser (``decode_frame``, ``wire_ws``, ``LiveBooks``) into ``OrderBook``. Unlike
live, a gap in a sequence is only counted and the books go on: a stream from which one market was cut out of
a shared subscription has gaps by construction.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from src.api import recorder_tape as tape
from src.api import wire_ws
from src.api.decoding import decode
from src.api.frames import (
    DeltaFrame,
    FillFrame,
    Frame,
    LifecycleFrame,
    MalformedFrame,
    SnapshotFrame,
    TradeFrame,
    UnknownFrame,
    UserOrderFrame,
    decode_frame,
)
from src.api.frames_extra import OrderGroupFrame, PositionFrame, TickerFrame
from src.api.live_books import LiveBooks
from src.api.recorder_format import Record
from src.api.replay_book import ReplayBook
from src.api.replay_polled import PolledAnswers
from src.api.replay_stream import open_stream
from src.core.book import BookError
from src.core.errors import WireError
from src.core.events import BookDelta, BookSnapshot, Event, LifecycleKind
from src.core.units import Nanos

Prices: TypeAlias = Literal["no-leg", "yes-leg"]
MOST_EXAMPLES = 5
_KINDS = {kind.value: kind for kind in LifecycleKind}
# Polled books have no subscription.
_POLLED = 0


class _Start(msgspec.Struct):
    feed: str = "websocket"


@dataclass(slots=True)
class _Finding:
    """How often something was found, with the first few places."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        self.count += 1
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(example)


@dataclass(slots=True)
class _Sequence:
    """The sequence numbers of one subscription. ``missing`` is how many were skipped in all."""

    last: int
    messages: int = 1
    gaps: int = 0
    missing: int = 0
    restarts: int = 0

    def follow(self, seq: int) -> None:
        if seq > self.last + 1:
            self.gaps += 1
            self.missing += seq - self.last - 1
        elif seq <= self.last:
            self.restarts += 1
        self.last = seq
        self.messages += 1


class ReplayReport:
    """Reads files, in the order they were recorded, and sums up. State is kept by connection and sid.

    ``prices`` says in which leg the NO side of the books is priced; None means YES prices in our own
    recordings, which ask for them, and NO prices in lines of JSON, the venue's default.
    """

    def __init__(self, prices: Prices | None = None) -> None:
        self._prices = prices
        self.messages: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.dropped = 0
        self.early_deltas = 0
        self.unparsed = _Finding()
        self.negative = _Finding()
        self.crossed = _Finding()
        self.books: dict[tuple[int, int, str], ReplayBook] = {}
        self._live: dict[tuple[int, int], LiveBooks] = {}
        self.sequences: dict[tuple[int, int], _Sequence] = {}
        self._connection = 0
        self._polled = PolledAnswers(self._on_bad_answer)
        self._is_polled = False

    def read(self, path: Path) -> None:
        """Read one file to its end. Raises ``ConfigError`` for one that cannot be read."""
        stream = open_stream(path)
        is_no_leg = self._prices == "no-leg" if self._prices else not stream.is_recording
        for number, record in enumerate(stream.records, 1):
            self._take(record, is_no_leg, f"{path.name} message {number}")
        for book in self.books.values():
            self._judge(book)

    def document(self) -> dict[str, Any]:
        """Everything found, as JSON."""
        return {
            "messages": dict(sorted(self.messages.items())),
            "unknown_types": dict(sorted(self.unknown.items())),
            "unparsed": _finding(self.unparsed),
            "sequences": [
                {
                    "connection": connection,
                    "sid": sid,
                    "messages": each.messages,
                    "gaps": each.gaps,
                    "missing": each.missing,
                    "restarts": each.restarts,
                }
                for (connection, sid), each in sorted(self.sequences.items())
            ],
            "sequence_gaps": sum(each.gaps for each in self.sequences.values()),
            "negative_levels": _finding(self.negative),
            "crossed_books": _finding(self.crossed),
            "deltas_before_a_snapshot": self.early_deltas,
            "dropped_while_recording": self.dropped,
            "books": [
                {"connection": connection, "sid": sid, **book.document()}
                for (connection, sid, _), book in sorted(self.books.items())
            ],
        }

    # --- records -----------------------------------------------------------------------------------

    def _take(self, record: Record, is_no_leg: bool, where: str) -> None:
        kind = record.kind
        try:
            if kind == tape.FRAME:
                self._frame(decode_frame(record.payload), record.ts, is_no_leg, where)
            elif kind.startswith("rest "):
                self.messages["rest"] += 1
                for event in self._polled.on_answer(record) if self._is_polled else ():
                    self._book_event(event, _POLLED, False, None, where)
            elif kind == "start":
                self._is_polled = decode(record.payload, _Start, kind).feed == "polling"
            elif kind == tape.OPEN:
                # A connection's books end with it; the new one numbers its subscriptions anew.
                self._connection += 1
                self.books.clear()
            elif kind == "dropped":
                self.dropped += decode(record.payload, int, kind)
        except WireError as error:
            self.unparsed.add(f"{where}: {error}")

    def _frame(self, frame: Frame, ts: Nanos, is_no_leg: bool, where: str) -> None:
        if frame.sid is not None and frame.seq is not None:
            key = self._connection, frame.sid
            if key in self.sequences:
                self.sequences[key].follow(frame.seq)
            else:
                self.sequences[key] = _Sequence(frame.seq)
        match frame:
            case MalformedFrame():
                self.messages[frame.type or "(no type)"] += 1
                raise frame.error
            case UnknownFrame():
                self.messages[frame.type] += 1
                self.unknown[frame.type] += 1
                return
        self.messages[str(frame.__struct_config__.tag)] += 1
        match frame:
            case SnapshotFrame(sid=sid, msg=msg) | DeltaFrame(sid=sid, msg=msg):
                live = self._live.setdefault((self._connection, sid), LiveBooks())
                if isinstance(frame, SnapshotFrame):
                    events = live.snapshot(frame, {msg.market_ticker}, ts)
                else:
                    events = live.delta(frame, ts)
                    self.early_deltas += msg.market_ticker not in live
                for event in events:
                    self._book_event(event, sid, is_no_leg, msg.clock, where)
            case _:
                _check(frame, ts)

    # --- books -------------------------------------------------------------------------------------

    def _book_event(self, event: Event, sid: int, is_no_leg: bool, clock: int | None, where: str) -> None:
        if not isinstance(event, BookSnapshot | BookDelta):
            return
        key = self._connection, sid, event.ticker
        book = self.books.get(key)
        if book is None:
            book = self.books[key] = ReplayBook(event.ticker)
        if clock is None or clock != book.clock:
            self._judge(book)
        if isinstance(event, BookSnapshot):
            try:
                book.snapshot(event, is_no_leg)
            except BookError as error:
                self.unparsed.add(f"{where}: {error}")
        elif refused := book.delta(event, is_no_leg):
            self.negative.add(f"{where}: {refused}")
        book.clock = clock
        book.where = where
        if clock is None:
            self._judge(book)

    def _judge(self, book: ReplayBook) -> None:
        """Count a book that became crossed by its last change.

        One action of the exchange can make several deltas, which share a clock: in between is no state.
        """
        if crossing := book.newly_crossed():
            self.crossed.add(f"{book.where}: {crossing}")

    def _on_bad_answer(self, source: str, name: str) -> None:
        self.unparsed.add(f"{source}: {name}")


def _check(frame: Frame, ts: Nanos) -> None:
    """Read the values of a message that changes no book. Raises ``WireError``."""
    match frame:
        case TradeFrame(msg=trade):
            wire_ws.public_trade(trade, ts)
        case FillFrame(msg=fill):
            wire_ws.fill(fill, ts)
        case UserOrderFrame(msg=order):
            wire_ws.order_update(order, ts)
        case LifecycleFrame(msg=change) if change.event_type in _KINDS:
            wire_ws.market_lifecycle(change, _KINDS[change.event_type], ts)
        case TickerFrame() | PositionFrame() | OrderGroupFrame():
            wire_ws.extra(frame, ts)


def _finding(found: _Finding) -> dict[str, Any]:
    return {"count": found.count, "first": found.examples}
