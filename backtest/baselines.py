"""What a strategy has to beat: doing nothing, the market's own price, a coin, and the favourite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backtest.analysis import Analysis

FAVOURITE = "buy_favourite"


@dataclass(frozen=True, slots=True)
class Baseline:
    """Profit in dollars; ``what`` says how it came about."""

    name: str
    pnl: float
    bets: int
    what: str


def baselines_of(analysis: Analysis, others: Sequence[Analysis]) -> list[Baseline]:
    """What stands beside a strategy's result, where it can be known."""
    found = [Baseline("do nothing", 0.0, 0, "no bet, no cost")]
    right = next((null for null in analysis.nulls if null.name == "market is right"), None)
    if right is not None:
        what = "the same bets, were the market's middle the true probability: minus half spreads and fees"
        found.append(Baseline("the market's own price", right.mean, analysis.bets, what))
    if analysis.random_side is not None:
        what = "the same moments and sizes, the side by a coin: the mean of both sides"
        found.append(Baseline("random side", analysis.random_side, analysis.bets, what))
    favourite = next((other for other in others if other.strategy == FAVOURITE), None)
    if favourite is not None and favourite.strategy != analysis.strategy:
        what = "the likeliest outcome of every event, a quarter into its life, held to settlement"
        found.append(Baseline("buy the favourite", favourite.pnl, favourite.bets, what))
    return found
