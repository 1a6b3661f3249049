"""Stakes on several brackets of one event together: exactly one of them pays, so that they offset.

Source: docs/METHODS.md 2.3. Sizing each bracket alone ignores that the loss of one is the gain of another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_LEAST_CHANCE = 1e-9
_MOST_SWEEPS = 400
_STEPS = 100
_TOLERANCE = 1e-7
_PRECISION = 1e-12


@dataclass(frozen=True, slots=True)
class Leg:
    """One outcome that may be bought. ``cost``: all-in dollars per contract; ``held``: contracts already."""

    ticker: str
    is_yes: bool
    cost: float
    held: float = 0.0


@dataclass(frozen=True, slots=True)
class Holding:
    """Contracts of an outcome that are held (or ordered) and not for sale here, at what each is worth."""

    ticker: str
    is_yes: bool
    contracts: float
    worth: float


def joint_targets(
    chances: Mapping[str, float], legs: Sequence[Leg], holdings: Sequence[Holding], wealth: float
) -> tuple[float, ...]:
    """Contracts of each leg to hold in the end, at least what is held of it.

    Maximises the sum of p * ln(wealth if that bracket pays). ``chances``: probability of each bracket, of
    which exactly one pays (they are scaled to sum to 1); ``wealth``: dollars, already multiplied by the
    Kelly fraction: a fraction of Kelly is full Kelly on that part of the account. Nothing is bought
    when what is held could already lose all of it.
    """
    total = math.fsum(chances.values())
    if not chances or not total > 0.0 or any(not 0.0 <= p <= 1.0 for p in chances.values()):
        raise ValueError(f"chances: need probabilities of exclusive outcomes, got {dict(chances)!r}")
    if any(not 0.0 < leg.cost < 1.0 for leg in legs):
        raise ValueError(f"legs: need all-in costs strictly between 0 and 1 dollar, got {list(legs)!r}")
    tickers = list(chances)
    p = [max(_LEAST_CHANCE, chances[ticker] / total) for ticker in tickers]
    worth = [
        wealth
        + math.fsum(
            held.contracts * (((ticker == held.ticker) is held.is_yes) - held.worth) for held in holdings
        )
        for ticker in tickers
    ]
    gains = [[((ticker == leg.ticker) is leg.is_yes) - leg.cost for ticker in tickers] for leg in legs]
    amounts = [leg.held for leg in legs]
    for leg, gain in zip(legs, gains, strict=True):
        worth = [w + leg.held * g for w, g in zip(worth, gain, strict=True)]
    if wealth <= 0.0 or min(worth) <= 0.0:
        return tuple(amounts)
    _climb(p, worth, gains, amounts, [wealth / leg.cost for leg in legs], wealth)
    return tuple(amounts)


def _climb(
    p: Sequence[float],
    worth: list[float],
    gains: Sequence[Sequence[float]],
    amounts: list[float],
    most: Sequence[float],
    wealth: float,
) -> None:
    """Improve one leg at a time until none moves: the objective is concave, so that is the optimum.

    Legs that nearly offset each other make a long flat ridge, along which such steps stay short. Therefore
    each sweep ends with a step along its own direction (Hooke and Jeeves' pattern move).
    """
    least, most = list(amounts), [max(pair) for pair in zip(amounts, most, strict=True)]
    for _ in range(_MOST_SWEEPS):
        before = list(amounts)
        for j, gain in enumerate(gains):
            base = [w - amounts[j] * g for w, g in zip(worth, gain, strict=True)]
            best = _best_amount(p, base, gain, _feasible(base, gain, least[j], amounts[j]), most[j])
            amounts[j] = best
            worth[:] = [w + best * g for w, g in zip(base, gain, strict=True)]
        moves = [now - then for now, then in zip(amounts, before, strict=True)]
        if max(map(abs, moves), default=0.0) <= _TOLERANCE * wealth:
            return
        _go_on(p, worth, gains, amounts, moves, least, most)


def _go_on(
    p: Sequence[float],
    worth: list[float],
    gains: Sequence[Sequence[float]],
    amounts: list[float],
    moves: Sequence[float],
    least: Sequence[float],
    most: Sequence[float],
) -> None:
    """Repeat the moves of a sweep as often as is best, no leg beyond its least or most."""
    gain = [
        math.fsum(m * g for m, g in zip(moves, column, strict=True)) for column in zip(*gains, strict=True)
    ]
    times = min(
        ((high if move > 0.0 else low) - now) / move
        for now, move, low, high in zip(amounts, moves, least, most, strict=True)
        if move
    )
    more = _best_amount(p, worth, gain, 0.0, times)
    for j, (now, move) in enumerate(zip(amounts, moves, strict=True)):
        amounts[j] = min(most[j], max(least[j], now + more * move))
    worth[:] = [w + more * g for w, g in zip(worth, gain, strict=True)]


def _feasible(base: Sequence[float], gain: Sequence[float], low: float, now: float) -> float:
    """The least amount, from ``low`` on, that leaves money in every outcome; ``now`` does so.

    Other legs may have grown because this one pays for their losses.
    """
    for w, g in zip(base, gain, strict=True):
        if g > 0.0 and w + low * g <= 0.0:
            least = -w / g
            low = max(low, least + 1e-9 * (now - least))
    return low


def _best_amount(
    p: Sequence[float], base: Sequence[float], gain: Sequence[float], low: float, high: float
) -> float:
    """Where the slope of the expected log along one leg is zero, between ``low`` and ``high``."""

    def slope(x: float) -> tuple[float, float]:
        first = second = 0.0
        for chance, w, g in zip(p, base, gain, strict=True):
            share = g / (w + x * g)
            first += chance * share
            second -= chance * share * share
        return first, second

    for w, g in zip(base, gain, strict=True):
        if g < 0.0:  # no outcome may cost everything
            high = min(high, (w / -g) * (1.0 - 1e-9))
    if high <= low or slope(low)[0] <= 0.0:
        return low
    if slope(high)[0] >= 0.0:
        return high
    x = low
    for _ in range(_STEPS):
        first, second = slope(x)
        if first > 0.0:
            low = x
        else:
            high = x
        near = _PRECISION * max(1.0, abs(x))
        if high - low <= near:
            break
        # Beside an outcome that would cost everything Newton's steps are short far from the root, too: it is
        # found when it has been seen from both sides.
        step = x - first / second
        if abs(step - x) < near / 2:
            step = x + math.copysign(near / 2, first)
        x = step if low < step < high else (low + high) / 2
    return low
