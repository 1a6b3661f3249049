"""Kelly arithmetic for contracts that pay one dollar. Plain floats: probabilities, dollars, contracts.

``q`` is the probability of the outcome bought, ``c`` its all-in cost per contract (price plus fee), both in
dollars between 0 and 1. Source: docs/METHODS.md 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from src.core.fees import FeeSchedule
from src.core.units import DOLLAR_PRICE, Price


def fee_per_contract(price: Price, fees: FeeSchedule, is_taker: bool = True) -> float:
    """Fee of one contract in dollars before rounding: what a large order pays on average."""
    p = price / DOLLAR_PRICE
    return fees.coefficient(is_taker) * p * (1.0 - p)


def all_in_cost(price: Price, fees: FeeSchedule, is_taker: bool = True) -> float:
    """Dollars to buy one contract at ``price``, the unrounded fee included."""
    return price / DOLLAR_PRICE + fee_per_contract(price, fees, is_taker)


def net_proceeds(price: Price, fees: FeeSchedule, is_taker: bool = True) -> float:
    """Dollars one contract brings when sold at ``price``, the unrounded fee taken off."""
    return price / DOLLAR_PRICE - fee_per_contract(price, fees, is_taker)


def kelly_fraction(q: float, c: float) -> float:
    """Fraction of wealth to stake, (q - c) / (1 - c). Zero or less means: do not buy.

    Raises ``ValueError`` for a cost outside 0..1: such a contract cannot win.
    """
    if not 0.0 < c < 1.0:
        raise ValueError(f"c: need an all-in cost strictly between 0 and 1 dollar, got {c!r}")
    return (q - c) / (1.0 - c)


def growth(q: float, c: float, fraction: float) -> float:
    """Expected log growth of wealth when ``fraction`` of it is staked."""
    return q * math.log(1.0 - fraction + fraction / c) + (1.0 - q) * math.log(1.0 - fraction)


def shrink(q: float, c: float, sd: float) -> float:
    """Baker-McHale factor (0..1) on the stake when ``q`` has standard error ``sd``; 0 without an edge."""
    edge = q - c
    if edge <= 0.0:
        return 0.0
    return edge * edge / (edge * edge + sd * sd)


def contracts_with_holding(q: float, c: float, cash: float, held: float) -> float:
    """Full-Kelly contracts to buy on top of ``held``; negative: do not buy (docs/METHODS.md 2.2)."""
    return (q * (1.0 - c) * cash - (1.0 - q) * c * (cash + held)) / (c * (1.0 - c))


def contracts_to_sell(q: float, s: float, cash: float, held: float) -> float:
    """Full-Kelly contracts of ``held`` to sell at net proceeds ``s`` each (docs/METHODS.md 2.2).

    Negative means: hold. More than ``held`` means: sell all of them.
    """
    return ((1.0 - q) * s * (cash + held) - q * (1.0 - s) * cash) / (s * (1.0 - s))


def target_contracts(q: float, c: float, wealth: float, fraction: float) -> float:
    """Contracts to hold in the end: ``fraction`` * f* * wealth / c, never negative (docs/METHODS.md 2.2)."""
    wanted = fraction * kelly_fraction(q, c) * wealth / c
    return wanted if wanted > 0.0 else 0.0


@dataclass(frozen=True, slots=True)
class JointStakes:
    """Fractions of wealth to stake on each outcome, and the reserve rate below which none is worth it."""

    fractions: tuple[float, ...]
    reserve: float


def joint_kelly_yes(p: Sequence[float], costs: Sequence[float]) -> JointStakes:
    """Growth-optimal YES stakes over mutually exclusive outcomes (Smoczynski and Tomkins, 2010).

    ``p``: probabilities (sum at most 1); ``costs``: all-in cost of YES of each, dollars. Outcomes enter by
    p/c, best first, while p/c beats the reserve rate R = (1 - sum p) / (1 - sum c) of those already in.
    Raises ``ValueError`` for unequal lengths, probabilities that sum to more than 1, or a cost outside 0..1.
    """
    if len(p) != len(costs):
        raise ValueError(f"costs: need one per probability, got {len(costs)} for {len(p)}")
    if any(not x >= 0.0 for x in p) or math.fsum(p) > 1.0 + 1e-9:
        raise ValueError(f"p: need probabilities of exclusive outcomes, got a sum of {math.fsum(p)!r}")
    if any(not 0.0 < c < 1.0 for c in costs):
        raise ValueError(f"costs: need all-in costs strictly between 0 and 1 dollar, got {list(costs)!r}")
    chosen: list[int] = []
    reserve, chance_left, cost_left = 1.0, 1.0, 1.0
    for i in sorted(range(len(p)), key=lambda i: -p[i] / costs[i]):
        if p[i] <= reserve * costs[i] or cost_left <= costs[i]:
            break
        chosen.append(i)
        chance_left = max(0.0, chance_left - p[i])
        cost_left -= costs[i]
        reserve = chance_left / cost_left
    fractions = [0.0] * len(p)
    for i in chosen:
        fractions[i] = p[i] - reserve * costs[i]
    return JointStakes(tuple(fractions), reserve)
