"""The brackets of one event taken together: are they the whole line, and what does the market say?

A daily-high event pays exactly one of its brackets (whole degF): one ``less`` tail, adjoining ``between``
brackets, one ``greater`` tail. Probabilities below are in that order and sum to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from src.core.market import Market, Strike
from src.core.probability import bracket_probability, pool
from src.edge_detection.weather_estimator import Estimate

_FIT_STEPS = 25
_FIT_TOLERANCE = 1e-6
_DIFFERENCE_F = 1e-4
_MIN_SIGMA_F = 0.3
_MAX_SIGMA_F = 15.0
_FIT_MIN_POINTS = 4


def strikes_of(ladder: Sequence[Market]) -> tuple[Strike, ...]:
    """The strikes of an exhaustive ladder, in order."""
    return tuple(market.strike for market in ladder if market.strike is not None)


def ladder_probabilities(strikes: Sequence[Strike], mu: float, sigma: float) -> tuple[float, ...]:
    """Probability of each bracket when the maximum is Normal(``mu``, ``sigma``) (degF) rounded."""
    return tuple(bracket_probability(strike, mu, sigma) for strike in strikes)


@dataclass(frozen=True, slots=True)
class MarketConsensus:
    """What the books say: a probability per bracket (sums to 1) and the normal closest to the mids."""

    probabilities: tuple[float, ...]
    mu: float
    sigma: float


def market_consensus(strikes: Sequence[Strike], mids: Sequence[float | None]) -> MarketConsensus | None:
    """Read the market from its mids (dollars; None where a book is not two-sided).

    A bracket without a mid takes its probability from the fitted normal. None when fewer than four
    brackets have a mid, or when no normal fits.
    """
    known = [(strike, mid) for strike, mid in zip(strikes, mids, strict=True) if mid is not None]
    if len(known) < _FIT_MIN_POINTS:
        return None
    fitted = fit_normal([strike for strike, _ in known], [mid for _, mid in known])
    if fitted is None:
        return None
    raw = [
        mid if mid is not None else bracket_probability(strike, *fitted)
        for strike, mid in zip(strikes, mids, strict=True)
    ]
    total = sum(raw)
    return MarketConsensus(tuple(value / total for value in raw), *fitted)


def fit_normal(strikes: Sequence[Strike], mids: Sequence[float]) -> tuple[float, float] | None:
    """Least-squares ``(mu, sigma)`` (degF) of a normal to bracket prices, by Gauss-Newton from the moments.

    None when it does not settle inside 0.3..15 degF: the market then says nothing we can compare with.
    """
    total = sum(mids)
    if total <= 0.0:
        return None
    centres = [_centre(strike) for strike in strikes]
    mu = sum(c * m for c, m in zip(centres, mids, strict=True)) / total
    variance = sum(m * (c - mu) ** 2 for c, m in zip(centres, mids, strict=True)) / total
    sigma = min(max(math.sqrt(variance), 2 * _MIN_SIGMA_F), _MAX_SIGMA_F / 2)
    for _ in range(_FIT_STEPS):
        step = _gauss_newton_step(strikes, mids, mu, sigma)
        if step is None:
            return None
        # A full step from a poor start can overshoot; half a sigma at a time cannot.
        shrink = min(1.0, 0.5 * sigma / max(abs(step[0]), abs(step[1]), 1e-12))
        mu, sigma = mu + shrink * step[0], sigma + shrink * step[1]
        if not _MIN_SIGMA_F <= sigma <= _MAX_SIGMA_F:
            return None
        if abs(step[0]) + abs(step[1]) < _FIT_TOLERANCE:
            return mu, sigma
    return None


def _gauss_newton_step(
    strikes: Sequence[Strike], mids: Sequence[float], mu: float, sigma: float
) -> tuple[float, float] | None:
    h = _DIFFERENCE_F
    aa = ab = bb = ra = rb = 0.0
    for strike, mid in zip(strikes, mids, strict=True):
        here = bracket_probability(strike, mu, sigma)
        a = (bracket_probability(strike, mu + h, sigma) - here) / h
        b = (bracket_probability(strike, mu, sigma + h) - here) / h
        aa, ab, bb = aa + a * a, ab + a * b, bb + b * b
        ra, rb = ra + a * (mid - here), rb + b * (mid - here)
    determinant = aa * bb - ab * ab
    if determinant <= 1e-12:
        return None
    return (bb * ra - ab * rb) / determinant, (aa * rb - ab * ra) / determinant


def _centre(strike: Strike) -> float:
    """A typical temperature of the bracket; a tail's is one degree beyond its edge."""
    if strike.floor is None:
        return (strike.cap or 0.0) - 2.0
    if strike.cap is None:
        return strike.floor + 2.0
    return (strike.floor + strike.cap) / 2.0


@dataclass(frozen=True, slots=True)
class PooledLadder:
    """Model, market and their pool, per bracket, with the standard error of the pooled probability."""

    model: tuple[float, ...]
    market: tuple[float, ...]
    pooled: tuple[float, ...]
    std_error: tuple[float, ...]


def pool_ladder(
    strikes: Sequence[Strike], estimate: Estimate, market: Sequence[float], weight: float
) -> PooledLadder:
    """Pool the model with the market, ``model ** weight * market ** (1 - weight)`` renormalised.

    The standard error is the delta method over the model's two parameters, by central differences one
    standard error wide.
    """

    def pooled_at(mu: float, sigma: float) -> tuple[float, ...]:
        return pool(ladder_probabilities(strikes, mu, sigma), market, weight)

    mu, sigma = estimate.mu, estimate.sigma
    up, down = pooled_at(mu + estimate.se_mu, sigma), pooled_at(mu - estimate.se_mu, sigma)
    wide, narrow = pooled_at(mu, sigma + estimate.se_sigma), pooled_at(mu, sigma - estimate.se_sigma)
    errors = (
        math.hypot((u - d) / 2.0, (w - n) / 2.0) for u, d, w, n in zip(up, down, wide, narrow, strict=True)
    )
    return PooledLadder(
        model=ladder_probabilities(strikes, mu, sigma),
        market=tuple(market),
        pooled=pooled_at(mu, sigma),
        std_error=tuple(errors),
    )
