"""Latency, and the heap of things that are due: the backtest's only notion of time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from src.core.errors import ConfigError
from src.core.events import Event
from src.core.units import MILLISECOND, Nanos

# At one instant calls reach the exchange before the engine hears anything, and time passes last.
CALL, DELIVERY, TICK = 1, 2, 3
# Later than anything that happens.
NEVER: Nanos = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Latency:
    """One way of each path, in nanoseconds.

    ``feed``: exchange to engine (books, trades, fills, weather); ``order``: a call of ours to the exchange;
    ``answer``: the answer to that call back to us. ``bar``: what a new order waits in addition where a row
    of the data stands for a whole bar.
    """

    feed: Nanos
    order: Nanos
    answer: Nanos
    bar: Nanos = 0

    @classmethod
    def of_total(cls, milliseconds: float) -> Latency:
        """A round trip from market move to answer: 40 % feed, 40 % order, 20 % answer."""
        if not 0 <= milliseconds <= 600_000:
            raise ConfigError(f"latency-ms: {milliseconds:g} is not from 0 to 600000; 250 is the default")
        total = int(milliseconds * MILLISECOND)
        return cls(feed=total * 2 // 5, order=total * 2 // 5, answer=total // 5)

    @property
    def total_ms(self) -> float:
        """Feed, order and answer together."""
        return (self.feed + self.order + self.answer) / MILLISECOND


class Progress(Protocol):
    """How far the world's rows have come."""

    position: int


class Agenda:
    """What is due, by time, then kind, then order of scheduling.

    Each item remembers what the position of ``progress`` was when it was scheduled.
    """

    def __init__(self, progress: Progress) -> None:
        self._heap: list[tuple[Nanos, int, int, Event | Callable[[], None], int]] = []
        self._count = 0
        self._progress = progress

    def add(self, ts: Nanos, rank: int, item: Event | Callable[[], None]) -> None:
        """Have ``item`` happen at ``ts``."""
        self._count += 1
        heapq.heappush(self._heap, (ts, rank, self._count, item, self._progress.position))

    def next_ts(self) -> Nanos | None:
        """When the next item is due, or None."""
        return self._heap[0][0] if self._heap else None

    def pop(self) -> tuple[Nanos, int, Event | Callable[[], None], int]:
        """The next item and the position when it was scheduled. The agenda must not be empty."""
        ts, rank, _, item, position = heapq.heappop(self._heap)
        return ts, rank, item, position
