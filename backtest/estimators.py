"""Statistics of a backtest: Sharpe and its corrections, clustered bootstrap, reliability.

PSR and DSR after Bailey and Lopez de Prado (2014): ``sharpe`` is per period, ``kurtosis`` is RAW (3 for a
normal).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist, fmean

import numpy as np
import numpy.typing as npt

_NORMAL = NormalDist()
_EULER = 0.5772156649015329
DRAWS = 10_000
_BLOCK_DRAWS = 2_000
_CHUNK = 1_000
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean, population standard deviation, skew, raw kurtosis and lag-1 autocorrelation of ``n`` values."""

    n: int
    mean: float
    deviation: float
    skew: float
    kurtosis: float
    autocorrelation: float

    @property
    def sharpe(self) -> float | None:
        """Mean over the sample standard deviation, per period; None without variation."""
        if self.n < 2 or self.deviation == 0.0:
            return None
        return self.mean / (self.deviation * math.sqrt(self.n / (self.n - 1)))


def moments(values: Sequence[float]) -> Moments:
    """Moments of a series; skew 0 and kurtosis 3 where there is no variation."""
    n = len(values)
    mean = fmean(values) if n else 0.0
    centred = [value - mean for value in values]
    variance = fmean([c * c for c in centred]) if n else 0.0
    if variance == 0.0:
        return Moments(n, mean, 0.0, 0.0, 3.0, 0.0)
    deviation = math.sqrt(variance)
    skew = fmean([c**3 for c in centred]) / deviation**3
    kurtosis = fmean([c**4 for c in centred]) / variance**2
    pairs = sum(a * b for a, b in pairwise(centred))
    return Moments(n, mean, deviation, skew, kurtosis, pairs / (n * variance))


def _spread(sharpe: float, skew: float, kurtosis: float) -> float:
    return 1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2


def psr(sharpe: float, benchmark: float, n: int, skew: float, kurtosis: float) -> float:
    """Probability that the true Sharpe ratio exceeds ``benchmark``, given ``n`` periods."""
    return _NORMAL.cdf((sharpe - benchmark) * math.sqrt(n - 1) / math.sqrt(_spread(sharpe, skew, kurtosis)))


def expected_best_sharpe(variance: float, trials: int) -> float:
    """Sharpe ratio the best of ``trials`` worthless configurations is expected to show (SR0)."""
    if trials < 2:
        return 0.0
    high = _NORMAL.inv_cdf(1 - 1 / trials)
    higher = _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * ((1 - _EULER) * high + _EULER * higher)


def dsr(sharpe: float, variance: float, trials: int, n: int, skew: float, kurtosis: float) -> float:
    """Deflated Sharpe ratio: PSR against the best of ``trials`` worthless ones."""
    return psr(sharpe, expected_best_sharpe(variance, trials), n, skew, kurtosis)


def minimum_track_record(
    sharpe: float, skew: float, kurtosis: float, confidence: float = 0.95
) -> float | None:
    """Periods needed for PSR(0) to reach ``confidence``; None for a Sharpe ratio of zero or less."""
    if sharpe <= 0:
        return None
    return 1 + _spread(sharpe, skew, kurtosis) * (_NORMAL.inv_cdf(confidence) / sharpe) ** 2


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % percentile interval."""

    value: float
    low: float
    high: float

    def shifted_zero(self) -> str:
        """Where zero lies: "above zero", "below zero" or "includes zero"."""
        if self.low > 0:
            return "above zero"
        return "below zero" if self.high < 0 else "includes zero"


@dataclass(frozen=True, slots=True)
class Clustered:
    """Figures resampled by whole clusters.

    ``per_bet`` and ``total`` in dollars, ``roi`` per dollar staked, ``win_rate`` a share; ``profit_factor``
    is None without a loss. ``t``: mean profit by cluster over its standard error (None without variation).
    """

    clusters: int
    total: Interval
    per_bet: Interval
    roi: Interval
    win_rate: Interval
    profit_factor: Interval | None
    t: float | None


def clustered_bootstrap(
    clusters: Mapping[str, Sequence[tuple[float, float]]], seed: int = 0, draws: int = DRAWS
) -> Clustered | None:
    """Bootstrap (profit, stake) pairs by cluster, because bets of one event or day share their fate."""
    rows = [rows for _, rows in sorted(clusters.items()) if rows]
    if not rows:
        return None
    sums = np.array(
        [
            (
                sum(p for p, _ in bets),
                len(bets),
                sum(stake for _, stake in bets),
                sum(p > 0 for p, _ in bets),
                sum(max(p, 0.0) for p, _ in bets),
                sum(max(-p, 0.0) for p, _ in bets),
            )
            for bets in rows
        ],
        dtype=np.float64,
    )
    rng = np.random.default_rng(seed)
    n = len(sums)
    # How often each cluster is drawn, rather than which: the same thing, without a list of 10,000 times n.
    drawn = np.vstack(
        [
            rng.multinomial(n, np.full(n, 1 / n), size=min(_CHUNK, draws - at)) @ sums
            for at in range(0, draws, _CHUNK)
        ]
    )
    own = sums.sum(axis=0)
    found = moments(sums[:, 0].tolist()).sharpe
    return Clustered(
        n,
        _interval(own[0], drawn[:, 0]),
        _interval(own[0] / own[1], drawn[:, 0] / drawn[:, 1]),
        _interval(own[0] / (own[2] or 1.0), drawn[:, 0] / np.where(drawn[:, 2] > 0, drawn[:, 2], 1.0)),
        _interval(own[3] / own[1], drawn[:, 3] / drawn[:, 1]),
        _interval(own[4] / own[5], drawn[:, 4] / np.maximum(drawn[:, 5], 1e-9)) if own[5] > 0 else None,
        None if found is None else found * math.sqrt(n),
    )


def _interval(value: float, draws: _Floats) -> Interval:
    low, high = np.quantile(draws, (0.025, 0.975))
    return Interval(float(value), float(low), float(high))


def newey_west_sharpe(values: Sequence[float], lags: int = 7) -> float | None:
    """Mean over the square root of the long-run variance (Newey and West 1987), per period.

    Where neighbouring periods move together the plain ratio is too good. None without variation.
    """
    x = np.asarray(values, dtype=np.float64)
    if len(x) < lags + 2 or float(x.std()) == 0.0:
        return None
    centred = x - x.mean()
    n = len(x)
    variance = float(centred @ centred) / n
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag]) / n
    return float(x.mean()) / math.sqrt(variance) if variance > 0 else None


def stationary_sharpe(values: Sequence[float], seed: int = 0, mean_block: float = 7.0) -> Interval | None:
    """The Sharpe ratio per period with a 95 % interval, by the stationary bootstrap of Politis and Romano.

    Blocks have a geometric length with mean ``mean_block``. None without variation.
    """
    own = moments(values).sharpe
    if own is None:
        return None
    x = np.asarray(values, dtype=np.float64)
    n = len(x)
    rng = np.random.default_rng(seed)
    at = rng.integers(0, n, _BLOCK_DRAWS)
    sums, squares = np.zeros(_BLOCK_DRAWS), np.zeros(_BLOCK_DRAWS)
    for _ in range(n):
        sums += x[at]
        squares += x[at] ** 2
        jumps = rng.random(_BLOCK_DRAWS) < 1 / mean_block
        at = np.where(jumps, rng.integers(0, n, _BLOCK_DRAWS), (at + 1) % n)
    means = sums / n
    deviations = np.sqrt(np.maximum(squares / n - means**2, 0.0) * n / (n - 1))
    ratios = means / np.where(deviations > 0, deviations, np.inf)
    return _interval(own, ratios)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % Wilson interval of a proportion."""
    z = _NORMAL.inv_cdf(0.975)
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return centre - half, centre + half


@dataclass(frozen=True, slots=True)
class Bin:
    """Signals of similar probability: mean said, share that came true with its Wilson interval."""

    said: float
    came: float
    low: float
    high: float
    n: int


def reliability(pairs: Sequence[tuple[float, bool]], bins: int = 10) -> list[Bin]:
    """Reliability table of (probability, came true), in equal bins of probability, empty ones left out."""
    grouped: dict[int, list[tuple[float, bool]]] = {}
    for said, came in pairs:
        grouped.setdefault(min(bins - 1, int(said * bins)), []).append((said, came))
    table = []
    for _, rows in sorted(grouped.items()):
        hits = sum(came for _, came in rows)
        low, high = wilson(hits, len(rows))
        table.append(Bin(fmean([said for said, _ in rows]), hits / len(rows), low, high, len(rows)))
    return table


def brier(pairs: Sequence[tuple[float, bool]]) -> float | None:
    """Mean squared error of probabilities; None without any."""
    return fmean([(said - came) ** 2 for said, came in pairs]) if pairs else None


def log_score(pairs: Sequence[tuple[float, bool]]) -> float | None:
    """Mean negative log likelihood (nats) of probabilities, held off 0 and 1 by 0.001; None without any."""
    held = [(min(0.999, max(0.001, said)), came) for said, came in pairs]
    return fmean([-math.log(said if came else 1 - said) for said, came in held]) if held else None


def slope(points: Sequence[tuple[float, float, float]]) -> float | None:
    """Weighted least-squares slope of (x, y, weight); None where x varies by less than 0.01 (a cent)."""
    weight = sum(w for _, _, w in points)
    if not weight:
        return None
    mean_x = sum(x * w for x, _, w in points) / weight
    mean_y = sum(y * w for _, y, w in points) / weight
    across = sum(w * (x - mean_x) ** 2 for x, _, w in points)
    return (
        sum(w * (x - mean_x) * (y - mean_y) for x, y, w in points) / across
        if across > 1e-4 * weight
        else None
    )
