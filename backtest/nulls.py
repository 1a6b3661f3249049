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
from random import Random
from statistics import fmean

from backtest.trades import Trade
from src.core.sides import Outcome
from src.core.units import DOLLAR_PRICE, dollars

DRAWS = 5_000


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
    rng = Random(seed)
    right = sorted(sum(_drawn(bets, rng) for bets in groups) for _ in range(DRAWS))
    results = [NullTest("market is right", actual, *_summary(right, actual))]
    if len(groups) > 1:
        shuffled = sorted(_shuffled(groups, rng) for _ in range(DRAWS))
        results.append(NullTest("outcomes shuffled", actual, *_summary(shuffled, actual)))
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


def _drawn(bets: Sequence[_Bet], rng: Random) -> float:
    """One event with a winner drawn from the mids; the brackets we did not bet on share the rest."""
    chances = {bet.ticker: bet.yes_chance for bet in bets}
    total = max(1.0, sum(chances.values()))
    spot, winner = rng.random() * total, ""
    for ticker, chance in chances.items():
        spot -= chance
        if spot < 0:
            winner = ticker
            break
    return sum(bet.profit((bet.ticker == winner) == bet.is_yes) for bet in bets)


def _shuffled(groups: Sequence[Sequence[_Bet]], rng: Random) -> float:
    """Outcomes of the bets dealt out again among bets of other events."""
    fates = [[bet.won for bet in bets] for bets in groups]
    rng.shuffle(fates)
    total = 0.0
    for bets, fate in zip(groups, fates, strict=True):
        for number, bet in enumerate(bets):
            total += bet.profit(fate[number % len(fate)])
    return total


def _summary(draws: list[float], actual: float) -> tuple[float, float, float, float]:
    n = len(draws)
    as_good = sum(1 for value in draws if value >= actual - 1e-9) / n
    return fmean(draws), draws[int(0.025 * n)], draws[min(n - 1, int(0.975 * n))], as_good
