"""What every part of a simulated world shares: time, chance, the trace, and what was seen or violated."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter, deque

from src.core.units import SECOND, Nanos
from tests.simulation.plan import Plan
from tests.simulation.virtual_loop import VirtualLoop

START: Nanos = 1_795_440_000 * SECOND  # 2026-11-23 14:40 UTC, a Monday morning in New York
_TAIL = 120


class Stage:
    """Time, seeded chance, trace and findings of one world."""

    def __init__(self, plan: Plan, loop: VirtualLoop) -> None:
        self.plan = plan
        self.loop = loop
        self.faulty = True
        self.store_back_at = 0.0
        self.seen: Counter[str] = Counter()
        self.violations: list[str] = []
        self.tail: deque[str] = deque(maxlen=_TAIL)
        self.first_tail: list[str] = []
        self._hash = hashlib.sha256()
        self._dice: dict[str, random.Random] = {}

    @property
    def now(self) -> Nanos:
        """True time, which the exchange lives by."""
        return START + round(self.loop.time() * SECOND)

    @property
    def digest(self) -> str:
        """Hash of the whole trace so far."""
        return self._hash.hexdigest()

    @property
    def store_is_away(self) -> bool:
        """Whether the database does not answer now."""
        return self.faulty and self.loop.time() < self.store_back_at

    def dice(self, name: str) -> random.Random:
        """A stream of chance of its own, so that one part's draws do not move another's."""
        if name not in self._dice:
            self._dice[name] = random.Random(f"{name}:{self.plan.seed}")
        return self._dice[name]

    def hits(self, name: str, rate: float) -> bool:
        """Whether a fault of this rate strikes now (never once the world heals)."""
        return self.faulty and rate > 0 and self.dice(name).random() < rate

    def latency(self, name: str) -> float:
        """Seconds a message takes."""
        low, high = self.plan.latency
        return self.dice(f"latency {name}").uniform(low, high)

    def trace(self, text: str) -> None:
        """Add a line to the trace."""
        line = f"{self.loop.time():10.4f} {text}"
        self._hash.update(line.encode())
        self._hash.update(b"\n")
        self.tail.append(line)

    def saw(self, what: str) -> None:
        """An interesting situation happened."""
        self.seen[what] += 1

    def violated(self, what: str) -> None:
        """An invariant does not hold."""
        self.trace(f"VIOLATION {what}")
        if not self.violations:
            self.first_tail = list(self.tail)
        self.violations.append(what)


class ProcessClock:
    """The process's own clock: off by a constant, and never twice the same."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._last: Nanos = 0

    def now(self) -> Nanos:
        """Nanoseconds since the epoch, as the process believes."""
        self._last = max(self._last + 1, self._stage.now + self._stage.plan.clock_offset)
        return self._last


async def for_ever() -> None:
    """Wait until cancelled: what a dead process's calls do."""
    await asyncio.get_running_loop().create_future()
