"""Normal distribution, bracket probabilities, log-odds and opinion pooling. Plain floats, standard library.

Sources: docs/METHODS.md 1.3 (continuity-corrected brackets), 1.4 (logarithmic pool), 1 (CRPS of a normal);
Acklam's rational approximation of the normal quantile, polished by two Halley steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from src.core.errors import WireError
from src.core.market import Strike, StrikeKind

# Settlement values are whole degrees, so a bracket's edge lies half a degree beyond its last whole one.
HALF_STEP = 0.5

_ROOT_TWO = math.sqrt(2.0)
_ROOT_TWO_PI = math.sqrt(2.0 * math.pi)

# Acklam's coefficients: central region (|p - 1/2| <= 0.47575) and tail.
_A = (
    -3.969683028665376e1,
    2.209460984245205e2,
    -2.759285104469687e2,
    1.383577518672690e2,
    -3.066479806614716e1,
    2.506628277459239,
)
_B = (
    -5.447609879822406e1,
    1.615858368580409e2,
    -1.556989798598866e2,
    6.680131188771972e1,
    -1.328068155288572e1,
    1.0,
)
_C = (
    -7.784894002430293e-3,
    -3.223964580411365e-1,
    -2.400758277161838,
    -2.549732539343734,
    4.374664141464968,
    2.938163982698783,
)
_D = (7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0)
_TAIL = 0.02425


def normal_cdf(x: float) -> float:
    """P(Z <= x) of a standard normal; accurate in the lower tail."""
    return 0.5 * math.erfc(-x / _ROOT_TWO)


def normal_pdf(x: float) -> float:
    """Density of a standard normal."""
    return math.exp(-0.5 * x * x) / _ROOT_TWO_PI


def normal_quantile(p: float) -> float:
    """The x with P(Z <= x) = p, for 0 < p < 1. Raises ``ValueError`` outside."""
    if not 0.0 < p < 1.0:
        raise ValueError(f"p: a quantile needs a probability strictly between 0 and 1, got {p!r}")
    if p > 0.5:
        return -normal_quantile(1.0 - p)
    if p < _TAIL:
        q = math.sqrt(-2.0 * math.log(p))
        x = _horner(_C, q) / _horner(_D, q)
    else:
        q = p - 0.5
        x = q * _horner(_A, q * q) / _horner(_B, q * q)
    for _ in range(2):
        step = (normal_cdf(x) - p) / normal_pdf(x)
        x -= step / (1.0 + 0.5 * x * step)
    return x


def _horner(coefficients: Sequence[float], x: float) -> float:
    total = 0.0
    for coefficient in coefficients:
        total = total * x + coefficient
    return total


def bracket_probability(strike: Strike, mu: float, sigma: float) -> float:
    """Probability of YES when the settling whole number is a rounded N(``mu``, ``sigma``) variable.

    Raises ``ValueError`` for a sigma that is not positive and ``WireError`` for a strike without the edge
    its kind needs or of a kind that compares nothing (``OTHER``).
    """
    if not (math.isfinite(mu) and math.isfinite(sigma) and sigma > 0.0):
        raise ValueError(f"mu, sigma: need a finite mean and a positive spread, got {mu!r} and {sigma!r}")
    kind = strike.kind
    if kind is StrikeKind.LESS:
        return normal_cdf((_edge(strike, "cap") - HALF_STEP - mu) / sigma)
    if kind is StrikeKind.GREATER:
        return normal_cdf((mu - _edge(strike, "floor") - HALF_STEP) / sigma)
    if kind is not StrikeKind.BETWEEN:
        raise WireError("strike_type", kind.value, "less, between or greater")
    floor, cap = _edge(strike, "floor"), _edge(strike, "cap")
    if cap < floor:
        raise WireError("cap_strike", cap, f"a cap at or above the floor {floor}")
    low, high = (floor - HALF_STEP - mu) / sigma, (cap + HALF_STEP - mu) / sigma
    if low > 0.0:
        # The upper tail as a lower one: a difference of numbers near 1 would lose its digits.
        low, high = -high, -low
    return normal_cdf(high) - normal_cdf(low)


def _edge(strike: Strike, name: str) -> float:
    value = strike.floor if name == "floor" else strike.cap
    if value is None:
        raise WireError(f"{name}_strike", value, f"a number, because the strike is '{strike.kind.value}'")
    return value


def logit(p: float) -> float:
    """Log-odds of ``p``, 0 < p < 1. Raises ``ValueError`` outside."""
    if not 0.0 < p < 1.0:
        raise ValueError(f"p: log-odds need a probability strictly between 0 and 1, got {p!r}")
    return math.log(p) - math.log1p(-p)


def expit(x: float) -> float:
    """Inverse of ``logit``; never overflows."""
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    odds = math.exp(x)
    return odds / (1.0 + odds)


def pool(p_model: Sequence[float], q_market: Sequence[float], weight: float) -> tuple[float, ...]:
    """Logarithmic pool over exclusive, exhaustive outcomes: p**w * q**(1-w), normalised to sum 1.

    Neither input needs to sum to 1 (mid prices do not). Raises ``ValueError`` for unequal lengths, numbers
    outside 0..1, a weight outside 0..1, or opinions that rule out every outcome between them.
    """
    if not 0.0 <= weight <= 1.0:
        raise ValueError(f"weight: need the model's weight from 0 to 1, got {weight!r}")
    if len(p_model) != len(q_market) or not p_model:
        raise ValueError(f"q_market: need one number per outcome, got {len(p_model)} and {len(q_market)}")
    for name, values in (("p_model", p_model), ("q_market", q_market)):
        for value in values:
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name}: need probabilities from 0 to 1, got {value!r}")
    raw = [p**weight * q ** (1.0 - weight) for p, q in zip(p_model, q_market, strict=True)]
    total = math.fsum(raw)
    if total <= 0.0:
        raise ValueError("p_model, q_market: together they give every outcome probability 0")
    return tuple(value / total for value in raw)


def pool_binary(p_model: float, q_market: float, weight: float) -> float:
    """Logarithmic pool of two probabilities of one event (a weighted mean of their log-odds)."""
    return pool((p_model, 1.0 - p_model), (q_market, 1.0 - q_market), weight)[0]


def normal_crps(mu: float, sigma: float, y: float) -> float:
    """Continuous ranked probability score of N(``mu``, ``sigma``) when ``y`` happens; lower is better."""
    if not sigma > 0.0:
        raise ValueError(f"sigma: need a positive spread, got {sigma!r}")
    z = (y - mu) / sigma
    return sigma * (z * (2.0 * normal_cdf(z) - 1.0) + 2.0 * normal_pdf(z) - 1.0 / math.sqrt(math.pi))


def sigma_from_mae(mae: float) -> float:
    """Spread of a centred normal whose mean absolute error is ``mae``: mae * sqrt(pi / 2)."""
    return mae * math.sqrt(math.pi / 2.0)
