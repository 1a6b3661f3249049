"""Alerts that wait to be told: bounded, most urgent first, repetitions counted.

What happens at the limit: the oldest INFO goes first, then the oldest WARNING, and both are counted.
CRITICAL is never dropped; where nothing else is left, critical alerts of one key become one with a count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from src.core.actions import Alert, Severity

URGENCY = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)

Identity: TypeAlias = tuple[Severity, str, str]


def identity(alert: Alert) -> Identity:
    """What makes two alerts repetitions: severity and key, and for a critical one its words too."""
    return alert.severity, alert.key, alert.text if alert.severity is Severity.CRITICAL else ""


@dataclass(frozen=True, slots=True)
class Pending:
    """``count`` repetitions of which ``alert`` is the latest.

    ``repeat``: an earlier attempt to tell it may have arrived.
    """

    alert: Alert
    count: int = 1
    repeat: bool = False

    def joined(self, later: Pending) -> Pending:
        """Both as one; the words and the time are the later one's."""
        return Pending(later.alert, self.count + later.count, self.repeat or later.repeat)

    @property
    def more(self) -> str:
        """`` (+12 more)``, or nothing for a single alert."""
        return f" (+{self.count - 1} more)" if self.count > 1 else ""

    def as_alert(self) -> Alert:
        """One alert that stands for all of them."""
        return replace(self.alert, text=self.alert.text + self.more)


class Outbox:
    """At most ``limit`` entries, apart from critical ones of different keys. ``dropped`` counts alerts."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"limit of {limit} entries: an outbox needs room for at least one")
        self._limit = limit
        # Insertion order is the order of arrival.
        self._queues: dict[Severity, dict[Identity, Pending]] = {severity: {} for severity in URGENCY}
        self.dropped: Counter[Severity] = Counter()

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def put(self, pending: Pending) -> None:
        """Add an entry, joined with the one it repeats if that still waits."""
        queue, name = self._queues[pending.alert.severity], identity(pending.alert)
        queue[name] = queue[name].joined(pending) if name in queue else pending
        self._shrink()

    def waiting(self) -> Iterator[Pending]:
        """What waits, in order of severity, then arrival."""
        for queue in self._queues.values():
            yield from queue.values()

    def take(self, pending: Pending) -> None:
        """Remove an entry that ``waiting`` gave."""
        del self._queues[pending.alert.severity][identity(pending.alert)]

    def take_all(self) -> list[Pending]:
        """Empty the outbox."""
        everything = list(self.waiting())
        for queue in self._queues.values():
            queue.clear()
        return everything

    def restore(self, entries: Sequence[Pending]) -> None:
        """Put entries that could not be told back in front; what arrived meanwhile joins them."""
        for severity, queue in self._queues.items():
            newer = list(queue.items())
            queue.clear()
            queue.update(
                (identity(entry.alert), entry) for entry in entries if entry.alert.severity is severity
            )
            for name, entry in newer:
                queue[name] = queue[name].joined(entry) if name in queue else entry
        self._shrink()

    def _shrink(self) -> None:
        while len(self) > self._limit:
            queue = self._queues[Severity.INFO] or self._queues[Severity.WARNING]
            if queue:
                oldest = queue.pop(next(iter(queue)))
                self.dropped[oldest.alert.severity] += oldest.count
            elif not self._fold_newest_critical():
                # A new kind of emergency is kept even beyond the limit.
                return

    def _fold_newest_critical(self) -> bool:
        queue = self._queues[Severity.CRITICAL]
        first_of_key: dict[str, Identity] = {}
        newest: Identity | None = None
        for name, entry in queue.items():
            if first_of_key.setdefault(entry.alert.key, name) != name:
                newest = name
        if newest is None:
            return False
        folded = queue.pop(newest)
        first = first_of_key[folded.alert.key]
        queue[first] = replace(queue[first], count=queue[first].count + folded.count)
        return True
