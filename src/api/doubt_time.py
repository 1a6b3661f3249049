"""The time of doubt: later than all that came before it, and not later than anything that comes after it."""

from __future__ import annotations

from src.core.units import MILLISECOND, Nanos


class DoubtTime:
    """When books were last doubted. One for a feed's life: it outlives the connection.

    Doubt overtakes books on its way to the engine, which knows by their times which of them it concerns; but
    messages received together have one time, and a connection may end in the moment of its last message.
    """

    def __init__(self) -> None:
        self._at: Nanos = 0

    def raised(self, ts: Nanos) -> Nanos:
        """The time of a doubt raised at ``ts``: a nanosecond later than all that came before it."""
        self._at = self.behind(ts) + 1
        return self._at

    def behind(self, ts: Nanos) -> Nanos:
        """The time of what is received at ``ts``: not before a doubt that was raised at that moment."""
        # A clock that was set back by more is left alone: no time may be ahead of it for long.
        return self._at if 0 < self._at - ts < MILLISECOND else ts
