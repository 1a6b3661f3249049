"""Order groups: a limit on the contracts an account's marked orders may match within 15 seconds.

When the limit is reached the group triggers: its resting orders are canceled and new ones refused until
it is reset. The fill that reaches the limit stands as it is: nothing is cut off it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from src.core.units import SECOND, Count, Nanos

WINDOW: Nanos = 15 * SECOND


@dataclass(slots=True)
class OrderGroup:
    """A group of one account's orders on one shard. ``is_triggered`` lasts until a reset."""

    group_id: str
    limit: Count
    exchange_index: int
    is_triggered: bool = False
    _matches: deque[tuple[Nanos, Count]] = field(default_factory=deque)
    _matched: Count = 0

    def add(self, now: Nanos, count: Count) -> None:
        """Count contracts matched now."""
        self._matches.append((now, count))
        self._matched += count

    def is_over(self, now: Nanos) -> bool:
        """Whether the contracts matched within the window reach the limit."""
        while self._matches and self._matches[0][0] <= now - WINDOW:
            self._matched -= self._matches.popleft()[1]
        return self._matched >= self.limit

    def reset(self) -> None:
        """Start again with nothing matched."""
        self._matches.clear()
        self._matched = 0
        self.is_triggered = False
