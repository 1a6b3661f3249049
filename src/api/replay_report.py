"""What a recorded stream holds and whether its books hold together.

Frames go through the live parser (``decode_frame``, ``wire_ws``, ``LiveBooks``) into ``OrderBook``. Unlike
live, a gap in a sequence is only counted and the books go on: a stream from which one market was cut out of
a shared subscription has gaps by construction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from src.api import recorder_tape as tape
from src.api import wire_ws
from src.api.decoding import decode
from src.api.extras import Ticker
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
from src.api.recorder_format import Record
from src.api.replay_book import Finding, Leg, ReplayBook
from src.api.replay_lanes import MarketLanes
from src.api.replay_legs import legs_of
from src.api.replay_polled import PolledAnswers
from src.api.replay_stream import open_stream
from src.core.book import BookError
from src.core.errors import WireError
from src.core.events import BookDelta, BookSnapshot, Event, LifecycleKind
from src.core.units import Nanos

_KINDS = {kind.value: kind for kind in LifecycleKind}
# Polled books have no subscription, and their asks are YES prices already.
_POLLED = 0
_Key: TypeAlias = tuple[int, int, str]
"""Connection, subscription id, market."""


class _Start(msgspec.Struct):
    feed: str = "websocket"


@dataclass(slots=True)
class _Sequence:
    """The sequence numbers of one subscription id. ``missing`` is how many were skipped in all."""

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

    ``prices`` says in which leg the NO side of the books is priced. None: the stream tells; where it does
    not, YES prices in our own recordings, which ask for them, and NO prices in lines of JSON, the venue's
    default.
    """

    def __init__(self, prices: Leg | None = None) -> None:
        self._prices = prices
        self._expected: Leg = "no-leg"
        self.messages: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.dropped = 0
        self.early_deltas = 0
        self.unparsed = Finding()
        self.negative = Finding()
        self.sequences: dict[tuple[int, int], _Sequence] = {}
        self._lanes: dict[_Key, MarketLanes] = {}
        self._ended: list[ReplayBook] = []
        self._repeated = 0
        self._connection = 0
        self._is_polled = False
        self._polled = PolledAnswers(self._on_bad_answer)
        self._polled_books: dict[str, ReplayBook] = {}

    def read(self, path: Path) -> None:
        """Read one file to its end. Raises ``ConfigError`` for one that cannot be read."""
        stream = open_stream(path)
        self._expected = "yes-leg" if stream.is_recording else "no-leg"
        for number, record in enumerate(stream.records, 1):
            self._take(record, f"{path.name} message {number}")

    def document(self) -> dict[str, Any]:
        """Everything found, as JSON."""
        legs = self._legs()
        crossed = Finding()
        for book, leg in legs:
            book.judge()
            crossed += book.readings[leg].crossings
        leg_of = {id(book): leg for book, leg in legs}
        books = [
            {"connection": key[0], "sid": key[1], **book.document(leg_of[id(book)])}
            for key, book in sorted(self._current().items(), key=lambda item: item[0])
        ]
        return {
            "messages": dict(sorted(self.messages.items())),
            "unknown_types": dict(sorted(self.unknown.items())),
            "unparsed": self.unparsed.document(),
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
            "negative_levels": self.negative.document(),
            "crossed_books": crossed.document(),
            "deltas_before_a_snapshot": self.early_deltas,
            "repeated_deltas": self._repeated + sum(each.repeated for each in self._lanes.values()),
            "dropped_while_recording": self.dropped,
            "books": books,
        }

    # --- records -----------------------------------------------------------------------------------

    def _take(self, record: Record, where: str) -> None:
        kind = record.kind
        try:
            if kind == tape.FRAME:
                self._frame(decode_frame(record.payload), record.ts, where)
            elif kind.startswith("rest "):
                self.messages["rest"] += 1
                for event in self._polled.on_answer(record) if self._is_polled else ():
                    self._polled_event(event, where)
            elif kind == "start":
                self._is_polled = decode(record.payload, _Start, kind).feed == "polling"
            elif kind == tape.OPEN:
                self._connected()
            elif kind == "dropped":
                self.dropped += decode(record.payload, int, kind)
        except WireError as error:
            self.unparsed.add(f"{where}: {error}")

    def _connected(self) -> None:
        """A connection's books end with it; the new one numbers its subscriptions anew."""
        self._connection += 1
        for each in self._lanes.values():
            self._repeated += each.repeated
            self._ended += [lane.book for lane in (*each.ended, *each.lanes)]
        for book in self._ended:
            book.judge()
            book.forget()
        self._lanes.clear()

    def _frame(self, frame: Frame, ts: Nanos, where: str) -> None:
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
            case SnapshotFrame() | DeltaFrame():
                self._book_frame(frame, ts, where)
            case _:
                self._other(frame, ts)

    def _other(self, frame: Frame, ts: Nanos) -> None:
        """Read the values of a message that changes no book. Raises ``WireError``."""
        match frame:
            case TradeFrame(msg=trade):
                told = wire_ws.public_trade(trade, ts)
                for book in self._books_of(told.ticker):
                    book.traded(told)
            case FillFrame(msg=fill):
                wire_ws.fill(fill, ts)
            case UserOrderFrame(msg=order):
                wire_ws.order_update(order, ts)
            case LifecycleFrame(msg=change) if change.event_type in _KINDS:
                wire_ws.market_lifecycle(change, _KINDS[change.event_type], ts)
            case TickerFrame() | PositionFrame() | OrderGroupFrame():
                message = wire_ws.extra(frame, ts)
                if isinstance(message, Ticker):
                    for book in self._books_of(message.ticker):
                        book.quoted(message.yes_ask)

    # --- books -------------------------------------------------------------------------------------

    def _book_frame(self, frame: SnapshotFrame | DeltaFrame, ts: Nanos, where: str) -> None:
        msg = frame.msg
        key = self._connection, frame.sid, msg.market_ticker
        lanes = self._lanes.get(key)
        if lanes is None:
            lanes = self._lanes[key] = MarketLanes(msg.market_ticker)
        if isinstance(frame, SnapshotFrame):
            lane = lanes.of_snapshot(frame)
            for event in lane.live.snapshot(frame, {msg.market_ticker}, ts):
                self._apply(lane.book, event, msg.clock, where)
            return
        found = lanes.of_delta(frame)
        if found is None:
            return
        events = found.live.delta(frame, ts)
        self.early_deltas += msg.market_ticker not in found.live
        # One action of the exchange makes deltas that share a clock; without clocks, a millisecond.
        moment = frame.msg.ts_ms if msg.clock is None else msg.clock
        for event in events:
            self._apply(found.book, event, moment, where)

    def _apply(self, book: ReplayBook, event: Event, moment: int | None, where: str) -> None:
        """Apply, judging only what was a state of the exchange: in between deltas of one moment is none."""
        if moment is None or moment != book.moment:
            book.judge()
        book.moment = moment
        book.where = where
        if isinstance(event, BookSnapshot):
            try:
                book.snapshot(event)
            except BookError as error:
                self.unparsed.add(f"{where}: {error}")
        elif isinstance(event, BookDelta) and (refused := book.delta(event)):
            self.negative.add(f"{where}: {refused}")
        if moment is None:
            book.judge()

    def _polled_event(self, event: Event, where: str) -> None:
        if isinstance(event, BookSnapshot):
            book = self._polled_books.setdefault(event.ticker, ReplayBook(event.ticker))
            self._apply(book, event, None, where)

    def _books_of(self, ticker: str) -> Iterator[ReplayBook]:
        for key, lanes in self._lanes.items():
            if key[2] == ticker:
                yield from (lane.book for lane in lanes.lanes)

    def _legs(self) -> list[tuple[ReplayBook, Leg]]:
        """Every book there was, and the leg in which it is read."""
        books = [lane.book for each in self._lanes.values() for lane in (*each.lanes, *each.ended)]
        books += self._ended
        told: Iterable[Leg]
        told = legs_of(books, self._expected) if self._prices is None else [self._prices] * len(books)
        polled: list[tuple[ReplayBook, Leg]] = [(book, "yes-leg") for book in self._polled_books.values()]
        return [*zip(books, told, strict=True), *polled]

    def _current(self) -> dict[_Key, ReplayBook]:
        """The book of each market's newest message, by connection and subscription."""
        found = {(self._connection, _POLLED, ticker): book for ticker, book in self._polled_books.items()}
        for key, lanes in self._lanes.items():
            if lanes.lanes and lanes.lanes[-1].book.messages:
                found[key] = lanes.lanes[-1].book
        return found

    def _on_bad_answer(self, source: str, name: str) -> None:
        self.unparsed.add(f"{source}: {name}")
