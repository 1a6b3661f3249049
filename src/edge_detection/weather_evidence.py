"""Does the model know anything the market does not? The test that must pass before live trading.

The test of docs/METHODS.md 1.6: a logistic regression of each bracket's outcome on the logits of the
model's and the market's probability, with standard errors clustered by event day. The model has earned
its weight only when its coefficient's lower 95 % bound is above zero on enough city-days. Pure Python:
a few thousand rows and three parameters need no numerical library.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from src.core.market import Strike, StrikeKind
from src.core.probability import expit, logit

_CLIP = 1e-4
_SINGULAR = 1e-6
_MAX_STEPS = 50
_TOLERANCE = 1e-9
_Z95 = 1.959963984540054
# Fewer clusters than this make the sandwich covariance meaningless.
_MIN_CLUSTERS = 10
# Bounds memory and the time of a fit (some 50 ms); older days say little about today's market.
_MAX_DAYS = 1_000


@dataclass(frozen=True, slots=True)
class ScoredDay:
    """One settled event as it looked at the last look before its climate day began.

    ``model`` and ``market`` are the bracket probabilities in strike order (each sums to 1);
    ``winner`` is the index of the bracket that paid.
    """

    event_ticker: str
    station: str
    date: str
    model: tuple[float, ...]
    market: tuple[float, ...]
    winner: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the scored days say. ``coefficient`` and its bound are None while they cannot be fitted.

    ``brier_model`` and ``brier_market`` are mean squared errors per bracket contract.
    """

    city_days: int
    coefficient: float | None
    coefficient_lower95: float | None
    brier_model: float | None
    brier_market: float | None

    def missing(self, required_days: int) -> tuple[str, ...]:
        """What still stands between this evidence and live trading, in words; empty when nothing does."""
        wants: list[str] = []
        if self.city_days < required_days:
            wants.append(f"{required_days - self.city_days} more scored city-days (has {self.city_days})")
        if self.coefficient_lower95 is None:
            wants.append("a fitted model coefficient")
        elif self.coefficient_lower95 <= 0.0:
            wants.append(
                f"a model coefficient with a 95 % lower bound above 0 (it is {self.coefficient_lower95:.3f})"
            )
        return tuple(wants)


@dataclass(frozen=True, slots=True)
class _Look:
    station: str
    date: str
    strikes: tuple[Strike, ...]
    model: tuple[float, ...]
    market: tuple[float, ...]


class EvidenceLog:
    """The last look at each event before its day, turned into a ``ScoredDay`` once the maximum is final."""

    def __init__(self, scored: Iterable[ScoredDay]) -> None:
        self._looks: dict[str, _Look] = {}
        self._scored: dict[str, ScoredDay] = {}
        self._weighed: Evidence | None = None
        for day in scored:
            self._score(day)

    def look(
        self,
        event_ticker: str,
        station: str,
        date: str,
        strikes: tuple[Strike, ...],
        model: tuple[float, ...],
        market: tuple[float, ...],
    ) -> None:
        """Remember what model and market said about an event; a later look replaces an earlier one."""
        if event_ticker not in self._scored:
            self._looks[event_ticker] = _Look(station, date, strikes, model, market)

    def settle(self, station: str, date: str, tmax_f: int) -> None:
        """Score the events of that climate day; looks at earlier days that never got a value are dropped."""
        for event_ticker, look in list(self._looks.items()):
            if look.station != station or look.date > date:
                continue
            del self._looks[event_ticker]
            if look.date == date:
                winner = next(i for i, strike in enumerate(look.strikes) if _pays(strike, tmax_f))
                self._score(ScoredDay(event_ticker, station, date, look.model, look.market, winner))

    def _score(self, day: ScoredDay) -> None:
        self._scored[day.event_ticker] = day
        self._weighed = None
        if len(self._scored) > _MAX_DAYS:
            del self._scored[next(iter(self._scored))]

    def days(self) -> tuple[ScoredDay, ...]:
        """The scored events, oldest first."""
        return tuple(self._scored.values())

    def weigh(self) -> Evidence:
        """What the scored events say; fitted again only when there is a new one."""
        if self._weighed is None:
            self._weighed = weigh(self.days())
        return self._weighed


def _pays(strike: Strike, tmax_f: int) -> bool:
    if strike.kind is StrikeKind.LESS:
        return strike.cap is not None and tmax_f < strike.cap
    if strike.kind is StrikeKind.GREATER:
        return strike.floor is not None and tmax_f > strike.floor
    return strike.floor is not None and strike.cap is not None and strike.floor <= tmax_f <= strike.cap


def weigh(days: Sequence[ScoredDay]) -> Evidence:
    """Fit the regression and score both forecasters on ``days``."""
    if not days:
        return Evidence(0, None, None, None, None)
    fitted = _fit(days)
    return Evidence(
        city_days=len(days),
        coefficient=None if fitted is None else fitted[0],
        coefficient_lower95=None if fitted is None else fitted[0] - _Z95 * fitted[1],
        brier_model=_brier((day.model, day.winner) for day in days),
        brier_market=_brier((day.market, day.winner) for day in days),
    )


def _brier(forecasts: Iterable[tuple[tuple[float, ...], int]]) -> float:
    total, count = 0.0, 0
    for probabilities, winner in forecasts:
        for index, probability in enumerate(probabilities):
            total += (probability - (index == winner)) ** 2
            count += 1
    return total / count


# (logit of the model, logit of the market, 1 if the bracket paid)
_Row = tuple[float, float, float]


def _fit(days: Sequence[ScoredDay]) -> tuple[float, float] | None:
    """(coefficient of the model's logit, its clustered standard error); None if it cannot be had."""
    clusters: dict[str, list[_Row]] = {}
    for day in days:
        rows = clusters.setdefault(day.date, [])
        for index, (p, q) in enumerate(zip(day.model, day.market, strict=True)):
            rows.append((_logit(p), _logit(q), float(index == day.winner)))
    if len(clusters) < _MIN_CLUSTERS:
        return None
    # Start from the market: the null hypothesis is that the model adds nothing.
    beta = [0.0, 0.0, 1.0]
    for _ in range(_MAX_STEPS):
        gradient, hessian = _normal_equations(clusters.values(), beta)
        inverse = _inverse(hessian)
        if inverse is None:
            return None
        step = [sum(inverse[i][j] * gradient[j] for j in range(3)) for i in range(3)]
        beta = [b + s for b, s in zip(beta, step, strict=True)]
        if not all(math.isfinite(b) for b in beta):
            return None
        if max(abs(s) for s in step) < _TOLERANCE:
            return beta[1], _clustered_error(list(clusters.values()), beta, inverse)
    return None


def _normal_equations(
    clusters: Iterable[Sequence[_Row]], beta: Sequence[float]
) -> tuple[list[float], list[list[float]]]:
    """Gradient and information matrix of the log likelihood (unrolled: this is the whole cost of a fit)."""
    b0, b1, b2 = beta
    g0 = g1 = g2 = h00 = h01 = h02 = h11 = h12 = h22 = 0.0
    for rows in clusters:
        for x1, x2, y in rows:
            p = expit(b0 + b1 * x1 + b2 * x2)
            residual, weight = y - p, p * (1.0 - p)
            g0, g1, g2 = g0 + residual, g1 + residual * x1, g2 + residual * x2
            w1, w2 = weight * x1, weight * x2
            h00, h01, h02 = h00 + weight, h01 + w1, h02 + w2
            h11, h12, h22 = h11 + w1 * x1, h12 + w1 * x2, h22 + w2 * x2
    return [g0, g1, g2], [[h00, h01, h02], [h01, h11, h12], [h02, h12, h22]]


def _clustered_error(
    clusters: Sequence[Sequence[_Row]], beta: Sequence[float], inverse: Sequence[Sequence[float]]
) -> float:
    """Sandwich standard error of ``beta[1]``: brackets of one day, and cities of one day, move together."""
    variance = 0.0
    for rows in clusters:
        influence = 0.0
        for x1, x2, y in rows:
            residual = y - expit(beta[0] + beta[1] * x1 + beta[2] * x2)
            influence += residual * (inverse[1][0] + inverse[1][1] * x1 + inverse[1][2] * x2)
        variance += influence * influence
    count = len(clusters)
    return math.sqrt(variance * count / (count - 1))


def _inverse(matrix: Sequence[Sequence[float]]) -> list[list[float]] | None:
    """Inverse of a symmetric 3x3 matrix by cofactors; None when it is (nearly) singular."""
    (a, b, c), (_, d, e), (_, _, f) = matrix
    cofactors = [
        [d * f - e * e, c * e - b * f, b * e - c * d],
        [c * e - b * f, a * f - c * c, b * c - a * e],
        [b * e - c * d, b * c - a * e, a * d - b * b],
    ]
    determinant = a * cofactors[0][0] + b * cofactors[0][1] + c * cofactors[0][2]
    if determinant <= _SINGULAR * a * d * f:
        return None
    return [[value / determinant for value in row] for row in cofactors]


def _logit(probability: float) -> float:
    return logit(min(max(probability, _CLIP), 1.0 - _CLIP))
