"""Messages that come too late: what is on its way behind them has changed the books unseen."""

from __future__ import annotations

from src.api.frames import DeltaFrame, Frame
from src.core.events import NO_TIME, BookDeltas
from src.core.units import MILLISECOND, SECOND, Nanos


class Lateness:
    """Compares what messages say of their time with that of their receipt.

    ``late_after``: nanoseconds from the one to the other after which a message is late; None where the two
    clocks cannot be compared, and nothing is.
    """

    def __init__(self, late_after: Nanos | None) -> None:
        self._late_after = late_after

    def of(self, frame: Frame, ts: Nanos) -> str:
        """Says so when a message comes too late; a change tells when it happened, others when they left."""
        if self._late_after is None:
            return ""
        sent_ms: int | None
        sent_ms = frame.msg.ts_ms if type(frame) is DeltaFrame else getattr(frame, "sending_ts_ms", None)
        return "" if sent_ms is None else self._told(ts - sent_ms * MILLISECOND)

    def of_run(self, run: BookDeltas, ts: Nanos) -> str:
        """The same of a run of changes, by the oldest of them."""
        if self._late_after is None:
            return ""
        happened = run.columns[:, 5]
        timed = happened[happened != NO_TIME]
        return self._told(ts - int(timed.min())) if len(timed) else ""

    def _told(self, lag: Nanos) -> str:
        if self._late_after is None or lag <= self._late_after:
            return ""
        return f"messages come {lag / SECOND:.1f} s late (or this machine's clock is ahead)"
