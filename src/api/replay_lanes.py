"""Which connection a message of a mixed stream came over.

Somebody who records over two connections at once, or reconnects, writes one file in which the same
subscription id stands for several subscriptions, and every change of a book comes once per connection. A
*lane* is one subscription's messages about one market. Lanes begin with a snapshot of their own and then
tell of the same changes in the same order, one sooner than the other: what a lane that is behind waits for
is its copy, and what is new comes from one that is not behind. Where that leaves a choice it does not
matter (the lanes' books are equal), but for sequence numbers, which rise within a lane.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from src.api.frames import DeltaFrame, SnapshotFrame
from src.api.live_books import LiveBooks
from src.api.replay_book import ReplayBook

_MOST_BEHIND = 1_024
"""Changes that are remembered; a lane further behind has ended: its connection was replaced."""


class _Change(NamedTuple):
    """What lanes tell alike. Without a time it cannot be told from another of the same size."""

    side: str
    price: str
    delta: str
    clock: int | None
    ts_ms: int | None

    @property
    def is_timed(self) -> bool:
        return self.clock is not None or self.ts_ms is not None


@dataclass(slots=True, eq=False)
class Lane:
    """One subscription's messages about one market.

    ``place``: how many of the market's changes it has told of. ``clock``: that of its snapshot, which holds
    all changes up to it; without a clock the lane ``is_fresh`` until its first change shows its place.
    """

    book: ReplayBook
    seq: int
    place: int
    live: LiveBooks = field(default_factory=LiveBooks)
    is_fresh: bool = True
    clock: int | None = None
    last: tuple[int, _Change] | None = None


class MarketLanes:
    """The lanes of one market under one subscription id, the newest used last.

    ``repeated`` messages came twice on one lane. ``ended`` lanes get no more messages.
    """

    def __init__(self, ticker: str) -> None:
        self._ticker = ticker
        self.lanes: list[Lane] = []
        self.ended: list[Lane] = []
        self.repeated = 0
        self._changes: list[_Change] = []
        self._forgotten = 0

    def of_snapshot(self, frame: SnapshotFrame) -> Lane:
        """The lane of a whole book: a new one, for a snapshot says everything; whoever goes on, goes on."""
        first = self.lanes[0] if self.lanes else None
        if first is not None and not first.book.messages and len(self.lanes) == 1:
            lane = first  # so far it told of changes without a book
        else:
            lane = Lane(ReplayBook(self._ticker), frame.seq, self._told)
            self.lanes.append(lane)
        lane.clock = frame.msg.clock
        lane.is_fresh = lane.clock is None
        lane.place = self._told if lane.is_fresh else self._forgotten
        self._skip_held(lane)
        self._forget_old()
        return self._use(lane, frame.seq)

    def of_delta(self, frame: DeltaFrame) -> Lane | None:
        """The lane of a change; None for one that its lane told of already."""
        msg, seq = frame.msg, frame.seq
        change = _Change(msg.side, msg.price_dollars, msg.delta_fp, msg.clock, msg.ts_ms)
        if any(lane.last == (seq, change) for lane in self.lanes) and not self._waiting(change):
            self.repeated += 1
            return None
        if not self.lanes:
            self.lanes.append(Lane(ReplayBook(self._ticker), seq, self._told))
        if len(self.lanes) == 1:
            lane = self.lanes[0]
            self._tell(lane, change)
        elif waiting := self._waiting(change):
            lane = _nearest(waiting, seq)
            lane.place = self._place_of(change, lane) + 1
        else:
            # What a snapshot holds already can still come over the other lanes.
            lacking = [each for each in self.lanes if not _holds(each, change)]
            heads = [each for each in lacking if each.place == self._told or not change.is_timed]
            lane = _nearest(heads or lacking or self.lanes, seq)
            self._tell(lane, change)
        lane.is_fresh = False
        lane.last = seq, change
        self._forget_old()
        return self._use(lane, seq)

    # --- inside ----------------------------------------------------------------------------------

    @property
    def _told(self) -> int:
        return self._forgotten + len(self._changes)

    def _tell(self, lane: Lane, change: _Change) -> None:
        self._changes.append(change)
        lane.place = self._told
        for each in self.lanes:
            self._skip_held(each)

    def _skip_held(self, lane: Lane) -> None:
        """What its snapshot holds a lane need not tell, and does not wait for."""
        while lane.place < self._told and _holds(lane, self._changes[lane.place - self._forgotten]):
            lane.place += 1

    def _waiting(self, change: _Change) -> list[Lane]:
        """The lanes that are behind and whose next change this is."""
        if not change.is_timed or len(self.lanes) == 1:
            return []
        return [
            lane
            for lane in self.lanes
            if not _holds(lane, change)
            and (
                change in self._changes
                if lane.is_fresh
                else lane.place < self._told and self._changes[lane.place - self._forgotten] == change
            )
        ]

    def _place_of(self, change: _Change, lane: Lane) -> int:
        return self._forgotten + self._changes.index(change) if lane.is_fresh else lane.place

    def _use(self, lane: Lane, seq: int) -> Lane:
        self.lanes.remove(lane)
        self.lanes.append(lane)
        lane.seq = max(lane.seq, seq)
        return lane

    def _forget_old(self) -> None:
        if len(self._changes) < 2 * _MOST_BEHIND:
            return
        self._forgotten += _MOST_BEHIND
        del self._changes[:_MOST_BEHIND]
        for lane in [each for each in self.lanes if each.place < self._forgotten]:
            lane.book.judge()
            lane.book.forget()
            self.lanes.remove(lane)
            self.ended.append(lane)


def _holds(lane: Lane, change: _Change) -> bool:
    """Whether the lane's snapshot holds the change already."""
    return lane.clock is not None and change.clock is not None and change.clock <= lane.clock


def _nearest(lanes: Iterable[Lane], seq: int) -> Lane:
    """The lane whose last number is just below ``seq``, else the one least above it."""
    return min(lanes, key=lambda lane: (lane.seq >= seq, abs(seq - lane.seq)))
