"""Choosing among configurations, honestly: what the choice itself would have earned, out of sample.

All configurations ran over the whole history; their bets are sliced here. Sizes follow an account that went
on over the slices, which is the usual simplification of these methods.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from backtest.analysis import daily_profits
from backtest.estimators import dsr, expected_best_sharpe, minimum_track_record, moments, psr
from backtest.groups import cluster_of
from backtest.overfitting import Overfitting, probability_of_overfitting
from backtest.plan import Result
from backtest.times import day
from backtest.validation import (
    EMBARGO,
    TRAIN_DAYS,
    TRAIN_EVENTS,
    Bet,
    Folds,
    Span,
    Window,
    judged_bets,
    purged_folds,
    training_bets,
    walk_forward,
)
from src.core.units import DAY, Nanos, dollars

HOLDOUT: Nanos = 60 * DAY


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the walk-forward: the configuration chosen and what it made in the test. Dollars."""

    train_to: str
    test_from: str
    test_to: str
    chosen: int
    train_pnl: float
    bets: int
    pnl: float


@dataclass(frozen=True, slots=True)
class WalkForward:
    """``missing`` says why there is no step. ``best_pnl``: the finally best one over the same tests."""

    steps: list[Step]
    pnl: float
    bets: int
    best_pnl: float
    missing: str = ""


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """Combinatorial purged cross-validation: profit of its paths in dollars; ``purged`` bets a split."""

    splits: int
    paths: list[float]
    purged: float
    chosen: dict[int, int]

    @property
    def median(self) -> float:
        """The middle path."""
        return median(self.paths)

    @property
    def losing(self) -> float:
        """Share of paths that lose money."""
        return sum(path < 0 for path in self.paths) / len(self.paths)


@dataclass(frozen=True, slots=True)
class Holdout:
    """The best of all days before the last 60, and what it made in those. Dollars."""

    start: str
    chosen: int
    bets: int
    pnl: float


@dataclass(frozen=True, slots=True)
class Selection:
    """What is known about a choice among ``trials`` configurations. Sharpe ratios are per day.

    ``independent``: the trials' effective number, N (1 - rho) + rho with their mean correlation rho.
    ``threshold``: the Sharpe ratio that the best of so many worthless ones is expected to show.
    """

    trials: int
    independent: float
    best: int
    sharpes: list[float]
    variance: float
    threshold: float
    psr: float | None
    dsr: float | None
    needed_days: float | None
    overfitting: Overfitting | None
    walk: WalkForward
    crossed: CrossValidation | None
    holdout: Holdout | None


def select(results: Sequence[Result], trials: int | None = None) -> Selection:
    """Judge the choice among ``results``, all over the same span.

    ``trials``: configurations ever tried, when more than these.
    """
    table = [daily_profits(result) for result in results]
    opening = dollars(results[0].opening_cash)
    returns = np.array([[pnl / opening for _, pnl in days] for days in table]).T
    found = [moments(column.tolist()) for column in returns.T]
    sharpes = [m.sharpe or 0.0 for m in found]
    best = max(range(len(results)), key=lambda n: (sharpes[n], -n))
    shape = (found[best].n, found[best].skew, found[best].kurtosis)
    number = max(trials or 0, len(results))
    variance = float(np.var(sharpes))
    bets = [bets_of(result) for result in results]
    first = results[0]
    return Selection(
        trials=number,
        independent=_independent(returns, number),
        best=best,
        sharpes=sharpes,
        variance=variance,
        threshold=expected_best_sharpe(variance, number),
        psr=psr(sharpes[best], 0.0, *shape) if found[best].sharpe is not None else None,
        dsr=dsr(sharpes[best], variance, number, *shape) if found[best].sharpe is not None else None,
        needed_days=minimum_track_record(sharpes[best], *shape[1:]),
        overfitting=probability_of_overfitting(returns),
        walk=_walk(bets, walk_forward(first.start, first.end, first.event_starts), best),
        crossed=_cross(bets, purged_folds([bet for row in bets for bet in row])),
        holdout=_hold_out(bets, Span(first.start, first.end)),
    )


def bets_of(result: Result) -> list[Bet]:
    """The finished bets of a run."""
    return [
        Bet(cluster_of(trade), trade.opened_ts, trade.closed_ts, dollars(trade.pnl))
        for trade in result.trades
        if trade.closed_ts is not None
    ]


def score(bets: Sequence[Bet]) -> float:
    """What the choice goes by: the Sharpe ratio of profits by cluster times the root of
    their number; 0 without variation."""
    totals: dict[str, float] = defaultdict(float)
    for bet in bets:
        totals[bet.cluster] += bet.pnl
    found = moments(list(totals.values()))
    if found.sharpe is None:
        return 0.0
    # By the square root of the number: a configuration with two lucky bets must not win against one of many.
    return found.sharpe * math.sqrt(found.n)


def _choose(candidates: Sequence[Sequence[Bet]]) -> int:
    scores = [score(bets) for bets in candidates]
    return max(range(len(scores)), key=lambda n: (scores[n], -n))


def _walk(bets: Sequence[Sequence[Bet]], windows: Sequence[Window], best: int) -> WalkForward:
    steps, best_pnl = [], 0.0
    for window in windows:
        learned = [training_bets(row, window) for row in bets]
        chosen = _choose(learned)
        judged = judged_bets(bets[chosen], window)
        best_pnl += _total(judged_bets(bets[best], window))
        steps.append(
            Step(
                train_to=day(window.train.end),
                test_from=day(window.test.start),
                test_to=day(window.test.end),
                chosen=chosen,
                train_pnl=_total(learned[chosen]),
                bets=len(judged),
                pnl=_total(judged),
            )
        )
    missing = "" if steps else f"needs {TRAIN_DAYS} days or {TRAIN_EVENTS} events before the first test"
    return WalkForward(steps, sum(s.pnl for s in steps), sum(s.bets for s in steps), best_pnl, missing)


def _cross(bets: Sequence[Sequence[Bet]], folds: Folds | None) -> CrossValidation | None:
    if folds is None:
        return None
    chosen: list[int] = []
    dropped = 0
    for split, judged in enumerate(folds.splits):
        learned = [folds.train(row, split) for row in bets]
        outside = [sum(folds.group_of[b.cluster] not in judged for b in row) for row in bets]
        dropped += sum(outside) - sum(len(row) for row in learned)
        chosen.append(_choose(learned))
    by_group = [[_total(folds.test(row, group)) for group in range(len(folds.spans))] for row in bets]
    paths = [sum(by_group[chosen[split]][group] for group, split in enumerate(path)) for path in folds.paths]
    tally: dict[int, int] = defaultdict(int)
    for number in chosen:
        tally[number] += 1
    splits = len(folds.splits)
    return CrossValidation(splits, paths, dropped / splits / len(bets), dict(sorted(tally.items())))


def _hold_out(bets: Sequence[Sequence[Bet]], span: Span) -> Holdout | None:
    """None for a history too short to spare its last 60 days."""
    start = span.end - HOLDOUT
    if start - span.start < 2 * HOLDOUT:
        return None
    window = Window(Span(span.start, start - EMBARGO), Span(start, span.end))
    chosen = _choose([training_bets(row, window) for row in bets])
    judged = judged_bets(bets[chosen], window)
    return Holdout(day(start), chosen, len(judged), _total(judged))


def _independent(returns: np.ndarray[tuple[int, ...], np.dtype[np.float64]], trials: int) -> float:
    moving = returns[:, returns.std(axis=0) > 0]
    if moving.shape[1] < 2:
        return float(trials)
    correlations = np.asarray(np.corrcoef(moving.T))
    n = moving.shape[1]
    rho = max(0.0, float((correlations.sum() - n) / (n * (n - 1))))
    return trials * (1 - rho) + rho


def _total(bets: Sequence[Bet]) -> float:
    return sum(bet.pnl for bet in bets)
