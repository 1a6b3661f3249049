"""Which bets may teach and which may judge: walk-forward windows and combinatorial purged cross-validation.

After Lopez de Prado, "Advances in Financial Machine Learning" (2018), chapters 7 and 12. A bet belongs to the
cluster it shares its fate with (a climate day with all its cities, else an event). A training bet whose span
from decision to settlement overlaps a test span, or begins within the embargo after it, is dropped.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from src.core.units import DAY, Nanos

TRAIN_DAYS, TRAIN_EVENTS = 365, 500
TEST: Nanos = 30 * DAY
STEP: Nanos = 30 * DAY
EMBARGO: Nanos = 2 * DAY
GROUPS, TESTED = 10, 2


@dataclass(frozen=True, slots=True)
class Bet:
    """One bet of a configuration. ``pnl`` in dollars, after fees."""

    cluster: str
    opened: Nanos
    settled: Nanos
    pnl: float


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, both ends included."""

    start: Nanos
    end: Nanos

    def overlaps(self, bet: Bet, embargo: Nanos = 0) -> bool:
        """Whether the bet was open in the span, or opened within ``embargo`` after it."""
        return bet.opened <= self.end + embargo and bet.settled >= self.start


@dataclass(frozen=True, slots=True)
class Window:
    """One step of a walk-forward: choose on ``train``, judge on ``test``."""

    train: Span
    test: Span


def walk_forward(start: Nanos, end: Nanos, event_times: Sequence[Nanos]) -> list[Window]:
    """Windows of an anchored walk-forward over ``start`` to ``end``.

    The first test begins when 365 days have passed or 500 events (``event_times``: when each began) lie
    behind it, whichever comes first, and an embargo of two days. Empty when the history is too short.
    """
    ordered = sorted(event_times)
    ready = start + TRAIN_DAYS * DAY
    if len(ordered) >= TRAIN_EVENTS:
        ready = min(ready, ordered[TRAIN_EVENTS - 1])
    windows = []
    test_start = ready + EMBARGO
    while test_start + TEST // 2 <= end:
        train = Span(start, test_start - EMBARGO)
        windows.append(Window(train, Span(test_start, min(end, test_start + TEST - 1))))
        test_start += STEP
    return windows


def training_bets(bets: Sequence[Bet], window: Window) -> list[Bet]:
    """The bets that were decided and settled within the training span."""
    return [b for b in bets if b.opened >= window.train.start and b.settled <= window.train.end]


def judged_bets(bets: Sequence[Bet], window: Window) -> list[Bet]:
    """The bets decided within the test span."""
    return [b for b in bets if window.test.start <= b.opened <= window.test.end]


@dataclass(frozen=True, slots=True)
class Folds:
    """Clusters in ``groups`` contiguous groups, and every choice of ``TESTED`` of them to judge on.

    ``splits`` holds the tested groups of each split. ``paths[p][g]`` is the split whose judgement of group
    ``g`` belongs to path ``p``: every path covers the whole history once, out of sample throughout.
    """

    group_of: dict[str, int]
    spans: tuple[Span, ...]
    splits: tuple[tuple[int, ...], ...]
    paths: tuple[tuple[int, ...], ...]

    def train(self, bets: Sequence[Bet], split: int) -> list[Bet]:
        """What may be learned from in a split: purged and under embargo."""
        judged = self.splits[split]
        spans = [self.spans[group] for group in judged]
        return [
            bet
            for bet in bets
            if self.group_of[bet.cluster] not in judged
            and not any(span.overlaps(bet, EMBARGO) for span in spans)
        ]

    def test(self, bets: Sequence[Bet], group: int) -> list[Bet]:
        """The bets of one group."""
        return [bet for bet in bets if self.group_of[bet.cluster] == group]


def purged_folds(bets: Sequence[Bet], groups: int = GROUPS, k: int = TESTED) -> Folds | None:
    """The folds over all configurations' bets together; None with fewer clusters than groups."""
    first: dict[str, Nanos] = {}
    last: dict[str, Nanos] = {}
    for bet in bets:
        first[bet.cluster] = min(bet.opened, first.get(bet.cluster, bet.opened))
        last[bet.cluster] = max(bet.settled, last.get(bet.cluster, bet.settled))
    ordered = sorted(first, key=lambda name: (last[name], first[name], name))
    if len(ordered) < groups:
        return None
    edges = [len(ordered) * n // groups for n in range(1, groups)]
    group_of = {name: bisect_right(edges, place) for place, name in enumerate(ordered)}
    spans = tuple(
        Span(
            min(first[name] for name in ordered if group_of[name] == group),
            max(last[name] for name in ordered if group_of[name] == group),
        )
        for group in range(groups)
    )
    splits = tuple(combinations(range(groups), k))
    holding = [[n for n, split in enumerate(splits) if group in split] for group in range(groups)]
    paths = tuple(tuple(holding[g][p] for g in range(groups)) for p in range(len(holding[0])))
    return Folds(group_of, spans, splits, paths)
