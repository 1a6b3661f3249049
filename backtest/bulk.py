"""Rows of a file in columns: a compiled loop absorbs those that nobody looks at (see ``quote_rows``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from backtest.clockwork import NEVER
from backtest.column_world import Chunk, ColumnWorld
from backtest.quote_rows import Row, Rows
from src.core.ports import Wakes
from src.core.units import Nanos
from src.simulator.exchange import Exchange
from src.simulator.pauses import WeeklyPause
from src.simulator.world import CrowdQuote, ListEvent, WorldEvent

_COLUMNS = {
    "ts": np.int64,
    "market": np.int32,
    "bid": np.int32,
    "bid_size": np.int64,
    "ask": np.int32,
    "ask_size": np.int64,
}


class _Views(NamedTuple):
    """Columns that are read one value at a time: plain integers, at a third of the time of numpy's."""

    ts: memoryview[int]
    market: memoryview[int]
    bid: memoryview[int]
    bid_size: memoryview[int]
    ask: memoryview[int]
    ask_size: memoryview[int]
    before: memoryview[int]


class ColumnRows(Rows):
    """Rows of a file with a quote in each, one chunk at a time.

    When a chunk is used up, each market's last visible row and the rows still on their way to the engine go
    in front of the next one. Row ``i`` of the chunk in hand has number ``_base + i``.
    """

    def __init__(self, world: ColumnWorld, exchange: Exchange, feed: Nanos, wakes: Wakes) -> None:
        super().__init__(exchange, feed)
        from backtest import kernels

        self._kernels: Any = kernels
        self._wakes = wakes
        self._tickers = world.tickers
        self._index = {ticker: number for number, ticker in enumerate(self._tickers)}
        markets = len(self._tickers)
        self._newest_row = np.full(markets, kernels.NONE, np.int64)
        self._newest_view = self._newest_row.data
        self._hot = np.zeros(markets, np.uint8)
        self._watched = np.full(markets, wakes.ask_below > 0, np.uint8)
        self._seen = np.zeros(markets, np.uint8)
        self._pauses = _pauses(world, enabled=exchange.rules.weekly_pause)
        self._chunks = world.chunks()
        self._columns: Chunk = {name: np.empty(0, kind) for name, kind in _COLUMNS.items()}
        self._before, self._changed = np.empty(0, np.int64), np.empty(0, np.uint8)
        self._size = self._cursor = self._base = self._noted = 0
        self._hold()
        self._carried: dict[str, None] = {}
        self._events: Iterator[WorldEvent] = world.milestones()
        self._event = next(self._events, None)
        self._is_at_row = False

    # --- the world -----------------------------------------------------------------------------

    def advance(self, until: Nanos) -> Nanos | None:
        """See ``Rows``. Listings come before the rows of their instant, everything else after them."""
        self.position = self._base + self._cursor
        event = self._event
        bound, next_row = until, NEVER
        if event is not None and event.ts <= until:
            bound = event.ts - 1 if isinstance(event, ListEvent) else event.ts
        while self._cursor < self._size or self._refill():
            ts = self._views.ts
            if ts[self._cursor] > bound:
                next_row = ts[self._cursor]
                break
            self._cursor = self._kernels.scan(self._cursor, bound, *self._scanned)
            self.position = self._base + self._cursor
            if self._cursor < self._size and ts[self._cursor] <= bound:
                self._is_at_row = True
                return ts[self._cursor]
        if event is not None and event.ts <= until:
            return event.ts
        self.quiet_until = (next_row if event is None else min(next_row, event.ts)) - 1
        return None

    def take(self) -> WorldEvent:
        """See ``Rows``."""
        self.quiet_until = -1  # what is taken happens now and counts from the next ``advance`` on
        if self._is_at_row:
            return self._take_row()
        event = self._event
        if event is None:
            raise AssertionError("nothing to take: advance says when there is")
        self._event = next(self._events, None)
        return event

    def heat(self, ticker: str) -> None:
        """See ``Rows``."""
        self._hot[self._index[ticker]] = 1

    def cool(self, ticker: str) -> None:
        """See ``Rows``."""
        self._hot[self._index[ticker]] = 0

    def is_hot(self, ticker: str) -> bool:
        """See ``Rows``."""
        return bool(self._hot[self._index[ticker]])

    def mute(self, ticker: str) -> None:
        """See ``Rows``."""
        self._watched[self._index[ticker]] = 0

    def changed(self) -> list[str]:
        """See ``Rows``."""
        if not self._wakes.notes_changes:
            return []
        self._note_until(self._visible_end())
        found = list(self._carried)
        self._carried.clear()
        return found

    # --- inside --------------------------------------------------------------------------------

    def _hold(self) -> None:
        """Have the columns in hand ready, for the kernel and for being read one by one."""
        columns = self._columns
        arrays = (*(columns[name] for name in _COLUMNS), self._before)
        self._views = _Views(*(array.data for array in arrays))
        self._scanned = (
            *(columns[name] for name in _COLUMNS),
            self._before,
            self._newest_row,
            self._changed,
            self._hot,
            self._watched,
            self._wakes.ask_below,
            *self._pauses,
        )

    def _take_row(self) -> CrowdQuote:
        row = self._cursor
        its = self._views.market[row]
        ticker = self._tickers[its]
        self.refresh_exchange(ticker)
        self._newest_row[its] = row
        # Its changes reach the engine one by one.
        self._changed[row] = 0
        self._at_exchange[ticker] = self._base + row
        self._is_at_row = False
        self._cursor += 1
        _, ts, bids, asks = self._row(row)
        return CrowdQuote(ts, ticker, bids, asks)

    def _note_until(self, end: int) -> None:
        if end > self._noted:
            columns = self._columns
            found = self._kernels.changed_markets(
                self._noted, end, columns["market"], self._changed, self._seen
            )
            self._carried.update((self._tickers[its], None) for its in found)
            self._noted = end

    def _visible_end(self) -> int:
        """Rows of the chunk below this are visible to the event in hand."""
        latest, scheduled_at = self._horizon
        ts = self._columns["ts"][: self._cursor]
        first, behind = int(np.searchsorted(ts, latest, "left")), int(np.searchsorted(ts, latest, "right"))
        return max(first, min(behind, scheduled_at - self._base))

    def _refill(self) -> bool:
        """Put the next chunk in hand; False when there is none."""
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        old = self._columns
        end = self._visible_end()
        if self._size:
            # No event to come is older than the last row: what that one's event would see is visible to all.
            sure = int(np.searchsorted(old["ts"], old["ts"][-1] - self.feed, "left"))
            end = max(end, sure)
        if self._wakes.notes_changes:
            self._note_until(end)
        settled = self._kernels.last_before(end, self._newest_row, self._before)
        kept = np.concatenate([settled, np.arange(end, self._size, dtype=np.int64)])
        numbers, base = settled + self._base, self.position - kept.size
        self._columns = {name: np.concatenate([old[name][kept], chunk[name]]) for name in _COLUMNS}
        self._size = self._columns["ts"].size
        self._before = np.empty(self._size, np.int64)
        self._changed = np.concatenate([self._changed[kept], np.zeros(chunk["ts"].size, np.uint8)])
        self._kernels.chain(kept.size, self._columns["market"], self._before, self._newest_row)
        self._renumber(numbers, base)
        self._hold()
        self._base, self._noted, self._cursor = base, settled.size, kept.size
        return True

    def _renumber(self, numbers: Any, base: int) -> None:
        """The kept last rows got other numbers: books that hold them hold them still."""
        market = self._columns["market"]
        for place, number in enumerate(numbers.tolist()):
            ticker = self._tickers[market[place]]
            for held in (self._at_engine, self._at_exchange):
                if held.get(ticker, -1) >= number:
                    held[ticker] = max(held[ticker], base + place)

    def _row(self, row: int) -> Row:
        ts, _, bid, bid_size, ask, ask_size, _ = self._views
        bids = ((bid[row], bid_size[row]),) if bid_size[row] > 0 else ()
        asks = ((ask[row], ask_size[row]),) if ask_size[row] > 0 else ()
        return Row(self._base + row, ts[row], bids, asks)

    def _newest(self, ticker: str) -> Row | None:
        row = self._newest_view[self._index[ticker]]
        return self._row(row) if row >= 0 else None

    def _visible(self, ticker: str, after: int) -> Row | None:
        ts, before, oldest = self._views.ts, self._views.before, after - self._base
        latest, scheduled_at = self._horizon
        end = scheduled_at - self._base
        row = self._newest_view[self._index[ticker]]
        while row > oldest and row >= 0:
            if ts[row] < latest or (ts[row] == latest and row < end):
                return self._row(row)
            row = before[row]
        return None


def _pauses(world: ColumnWorld, *, enabled: bool) -> tuple[Any, Any]:
    """Beginnings and ends of the exchange's weekly pauses while the world lasts."""
    windows: list[tuple[Nanos, Nanos]] = []
    pause, now = WeeklyPause(enabled=enabled), world.start
    while enabled and now <= world.end:
        windows.append(pause.window(now))
        now = windows[-1][1]
    starts, ends = (np.array([window[side] for window in windows], np.int64) for side in (0, 1))
    return starts, ends
