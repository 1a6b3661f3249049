"""What the same bets would have made if outcomes had nothing to do with them.

Decisions stay as they were, only payouts are drawn again, many times:

* ``market is right``: each event's winner is drawn from the market's own mids at entry. The mean of this is
  minus the costs (half spread and fees); a result inside its bulk is no evidence of skill.
* ``outcomes shuffled``: the sides that came true are dealt out again among all bets, those of one event
  staying together. Bets that only won because data leaked lose their advantage here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backtest.trades import Trade
from src.core.sides import Outcome
from src.core.units import DOLLAR_PRICE, dollars

DRAWS = 5_000
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NullTest:
    """A null distribution of the total profit in dollars; ``share_as_good``: draws at least as good."""

    name: str
    actual: float
    mean: float
    low: float
    high: float
    share_as_good: float


@dataclass(frozen=True, slots=True)
class _Bet:
    """A bet held to settlement: profit without payout, payout if it wins, P(YES) of its market."""

    ticker: str
    is_yes: bool
    won: bool
    base: float
    prize: float
    yes_chance: float

    def profit(self, won: bool) -> float:
        return self.base + (self.prize if won else 0.0)


def null_tests(trades: Sequence[Trade], seed: int) -> list[NullTest]:
    """Both tests over the trades whose market settled and whose mid at entry is known."""
    events: dict[str, list[_Bet]] = defaultdict(list)
    for trade in trades:
        if trade.won is not None and trade.mid is not None:
            events[trade.event_ticker].append(_bet(trade, trade.won, trade.mid))
    if not events:
        return []
    groups = [bets for _, bets in sorted(events.items())]
    actual = sum(bet.profit(bet.won) for bets in groups for bet in bets)
    rng = np.random.default_rng(seed)
    results = [_summary("market is right", _drawn(groups, rng), actual)]
    if len(groups) > 1:
        results.append(_summary("outcomes shuffled", _shuffled(groups, rng), actual))
    return results


def _bet(trade: Trade, won: bool, mid: float) -> _Bet:
    left = trade.bought - trade.sold
    is_yes = trade.outcome is Outcome.YES
    return _Bet(
        trade.ticker,
        is_yes,
        won,
        dollars(trade.proceeds - trade.cost - trade.fees),
        dollars(left * DOLLAR_PRICE),
        mid if is_yes else 1.0 - mid,
    )


def _drawn(groups: Sequence[Sequence[_Bet]], rng: np.random.Generator) -> _Floats:
    """Totals with each event's winner drawn from the mids; brackets we did not bet on share the rest."""
    totals = np.zeros(DRAWS)
    for bets in groups:
        chances = {bet.ticker: bet.yes_chance for bet in bets}
        edges = np.cumsum(list(chances.values())) / max(1.0, sum(chances.values()))
        # One entry for each bracket that may win, and one for a winner that nobody here bet on.
        worth = [
            sum(bet.profit((bet.ticker == winner) == bet.is_yes) for bet in bets)
            for winner in (*chances, None)
        ]
        totals += np.array(worth)[np.searchsorted(edges, rng.random(DRAWS), side="right")]
    return totals


def _shuffled(groups: Sequence[Sequence[_Bet]], rng: np.random.Generator) -> _Floats:
    """Totals with the outcomes of the bets dealt out again among bets of other events."""
    most = max(len(bets) for bets in groups)
    fates = np.array([[bets[k % len(bets)].won for k in range(most)] for bets in groups], dtype=np.float64)
    group = np.array([g for g, bets in enumerate(groups) for _ in bets])
    place = np.array([k for bets in groups for k in range(len(bets))])
    base = sum(bet.base for bets in groups for bet in bets)
    prize = np.array([bet.prize for bets in groups for bet in bets])
    draws = (fates[rng.permutation(len(groups))[group], place] @ prize for _ in range(DRAWS))
    return base + np.fromiter(draws, dtype=np.float64, count=DRAWS)


def _summary(name: str, totals: _Floats, actual: float) -> NullTest:
    low, high = np.quantile(totals, (0.025, 0.975))
    as_good = float((totals >= actual - 1e-9).mean())
    return NullTest(name, actual, float(totals.mean()), float(low), float(high), as_good)
