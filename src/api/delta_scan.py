"""Runs of plain ``orderbook_delta`` messages, read by the compiled scanner of ``delta_kernel``.

Importing this module compiles it. The scanner decides nothing: it takes a message only when the decoder and
``LiveBooks`` would turn it into exactly the change it reads, and stops at the first other one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from operator import itemgetter

import numpy as np

from src.api.delta_kernel import AT, KEPT, PADDING, SEQ, TOUCHED, scan, slot_of
from src.core.events import BookDeltas
from src.core.units import Nanos

MOST_CHANGES = 512
"""Changes of one event: what is urgent must not wait for more."""
_FIRST_MARKETS = 128
_WORDS_PER_NAME = 4
_TAIL = bytes(PADDING)

if sys.byteorder != "little":
    raise ImportError("the compiled scanner reads little-endian words")


class DeltaScanner:
    """The markets of one connection whose changes need no questions, and the reading of their messages."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}
        self._tickers: list[str] = []
        # Room for more markets than there are: a feed of thousands is told of them one by one.
        self._words = np.zeros(_WORDS_PER_NAME * _FIRST_MARKETS, np.uint64)
        self._spans = np.zeros(_FIRST_MARKETS + 1, np.int64)
        self._table = np.full(2 * _FIRST_MARKETS, -1, np.int64)
        self._ready = np.zeros(_FIRST_MARKETS, np.uint8)
        self._place = np.full(2 * _FIRST_MARKETS, -1, np.int64)
        self._changes = np.empty((MOST_CHANGES, 6), np.int64)
        self._state = np.zeros(4, np.int64)
        self._text = np.zeros(0, np.uint8)
        self._frames: Sequence[bytes] = ()
        self._next = 0

    def admit(self, ticker: str) -> None:
        """From now on every change of this market that is next in sequence is a change of its book."""
        index = self._index.get(ticker)
        if index is None:
            index = self._add(ticker)
        if index >= 0:
            self._ready[index] = 1

    def dismiss(self, tickers: Iterable[str]) -> None:
        """Leave these markets' messages to the decoder."""
        for ticker in tickers:
            index = self._index.get(ticker, -1)
            if index >= 0:
                self._ready[index] = 0

    def begin(self, frames: Sequence[bytes]) -> None:
        """Take these messages, received together."""
        self._frames, self._next = frames, 0
        self._text = np.frombuffer(b"\n".join((*frames, _TAIL)), np.uint8)
        self._state[AT] = 0

    def skip(self) -> None:
        """The next message was handled otherwise."""
        self._state[AT] += len(self._frames[self._next]) + 1
        self._next += 1

    def read(self, sid: int, seq: int, ts: Nanos) -> BookDeltas | None:
        """The run of plain changes from the next message on that continue ``sid`` after ``seq``, or None."""
        state, place, markets = self._state, self._place, len(self._ready)
        began = int(state[AT])
        state[KEPT] = state[TOUCHED] = 0
        state[SEQ] = seq
        scan(self._text, sid, self._table, self._spans, self._words, self._ready, place, self._changes, state)
        kept, touched = int(state[KEPT]), int(state[TOUCHED])
        where = place[markets : markets + touched]
        place[where] = -1
        if not kept or not self._are_whole(kept, int(state[AT]) - began):
            # Nothing plain, or a message with a line feed in it: what was read are not the messages received.
            state[AT] = began
            return None
        self._next += kept
        indices = where.tolist()
        tickers = itemgetter(*indices)(self._tickers) if touched > 1 else (self._tickers[indices[0]],)
        return BookDeltas(tickers, self._changes[:kept].copy(), ts)

    def _are_whole(self, kept: int, read: int) -> bool:
        """Whether the next ``kept`` messages, each with its line feed, are as long as the text read."""
        end = self._next + kept
        if end == len(self._frames):  # then the rest of the text is as long as the messages left
            return int(self._state[AT]) == len(self._text) - PADDING
        return sum(map(len, self._frames[self._next : end])) + kept == read

    def _add(self, ticker: str) -> int:
        """A new market's index; -1 for a name the scanner cannot read, which is thus never ready."""
        if not ticker.isascii() or not ticker.isprintable() or set(ticker) & {'"', "\\"}:
            self._index[ticker] = -1
            return -1
        index = self._index[ticker] = len(self._tickers)
        if index == len(self._ready):
            self._double()
        self._tickers.append(ticker)
        raw = ticker.encode()
        words = np.frombuffer(raw + bytes(-len(raw) % 8), "<u8")
        first = int(self._spans[index])
        after = self._spans[index + 1] = first + len(words)
        while after > len(self._words):
            self._words = np.concatenate((self._words, np.zeros_like(self._words)))
        self._words[first:after] = words
        self._enter(index)
        return index

    def _double(self) -> None:
        """Make room for as many markets again."""
        markets = len(self._ready)
        self._ready = np.concatenate((self._ready, np.zeros_like(self._ready)))
        self._spans = np.concatenate((self._spans, np.zeros(markets, np.int64)))
        self._place = np.full(2 * len(self._ready), -1, np.int64)
        self._table = np.full(2 * len(self._ready), -1, np.int64)
        for each in range(markets):
            self._enter(each)

    def _enter(self, index: int) -> None:
        first, after = int(self._spans[index]), int(self._spans[index + 1])
        slot = int(slot_of(self._words, first, after - first, len(self._table)))
        while self._table[slot] >= 0:
            slot = (slot + 1) % len(self._table)
        self._table[slot] = index
