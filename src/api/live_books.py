"""Which books of a connection can be vouched for, and what of the frames changes them.

A book is *live* from its snapshot until something casts doubt on it; changes to a book that is not live are
dropped, the next snapshot holds them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from src.api import wire_ws
from src.api.frames import DeltaFrame, SnapshotFrame
from src.core.events import Event
from src.core.units import Nanos

if TYPE_CHECKING:
    from src.api.delta_scan import DeltaScanner


class LiveBooks:
    """The books of one connection.

    ``scanner``, once there is one, is told of every book that is live with nothing left to ask: it may take
    that book's changes by itself.
    """

    def __init__(self) -> None:
        self._scanner: DeltaScanner | None = None
        self._live: set[str] = set()
        self._missing: set[str] = set()
        self._clocks: dict[str, int] = {}

    def __contains__(self, ticker: str) -> bool:
        return ticker in self._live

    def doubt(self, tickers: Iterable[str]) -> None:
        """Stop vouching for these."""
        gone = list(tickers)
        self._live.difference_update(gone)
        if self._scanner is not None:
            self._scanner.dismiss(gone)

    def read_by(self, scanner: DeltaScanner) -> None:
        """Keep ``scanner`` informed from now on: of a book that is live already at its next change.

        Thousands at once would hold up the messages that are waiting.
        """
        self._scanner = scanner

    def still_missing(self, watched: set[str]) -> set[str]:
        """Those of ``watched`` that are not live, and were not at the last call either."""
        missing = watched - self._live
        both = missing & self._missing
        self._missing = missing
        return both

    def delta(self, frame: DeltaFrame, ts: Nanos) -> tuple[Event, ...]:
        """A change of a book."""
        ticker, clock = frame.msg.market_ticker, frame.msg.clock
        event = wire_ws.book_delta(frame, ts)
        if ticker not in self._live:
            return ()
        included = self._clocks.get(ticker)
        if included is not None:
            if clock is not None and clock <= included:
                return ()  # the snapshot holds every change up to its clock
            # From here on the order of the stream suffices; clocks may restart after maintenance.
            del self._clocks[ticker]
        if self._scanner is not None:
            self._scanner.admit(ticker)
        return (event,)

    def snapshot(self, frame: SnapshotFrame, watched: set[str], ts: Nanos) -> tuple[Event, ...]:
        """A whole book."""
        ticker, clock = frame.msg.market_ticker, frame.msg.clock
        event = wire_ws.book_snapshot(frame, ts)
        if ticker not in watched:
            return ()
        self._live.add(ticker)
        if clock is not None:
            self._clocks[ticker] = clock
        if self._scanner is not None:
            if ticker in self._clocks:
                self._scanner.dismiss((ticker,))
            else:
                self._scanner.admit(ticker)
        return (event,)
