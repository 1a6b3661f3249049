"""How far our clock is from the exchange's, from the ``Date`` of its answers.

A ``Date`` is cut to whole seconds, so one answer bounds the offset to a second and a round trip. The bounds
of many answers, whose seconds break at different moments, leave a few hundredths.
"""

from __future__ import annotations

from collections import deque

_SECOND_MS = 1_000
# Reads come at least every few seconds: this is some minutes, in which no clock drifts noticeably.
_ANSWERS = 32


class ClockOffsetEstimate:
    """Bounds on our wall clock minus the exchange's, in milliseconds, as the last answers leave them."""

    def __init__(self) -> None:
        self._bounds: deque[tuple[int, int]] = deque(maxlen=_ANSWERS)

    def add(self, sent_ms: int, received_ms: int, date_ms: int) -> None:
        """An answer dated ``date_ms`` (whole seconds), between two readings of our clock."""
        bounds = (sent_ms - date_ms - _SECOND_MS, received_ms - date_ms)
        self._bounds.append(bounds)
        low, high = self._range()
        if low > high:
            # One of the clocks has stepped: what was learned before does not hold any more.
            self._bounds.clear()
            self._bounds.append(bounds)

    @property
    def offset_ms(self) -> float | None:
        """The middle of the bounds; None before the first answer."""
        if not self._bounds:
            return None
        low, high = self._range()
        return (low + high) / 2

    @property
    def least_ms(self) -> int:
        """What the offset is at the least, without its sign: 0 while the bounds allow no offset."""
        if not self._bounds:
            return 0
        low, high = self._range()
        return max(0, low, -high)

    def _range(self) -> tuple[int, int]:
        return max(low for low, _ in self._bounds), min(high for _, high in self._bounds)
