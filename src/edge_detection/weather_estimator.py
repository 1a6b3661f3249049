"""Bias and spread of one forecast source at one station, learned from its own past errors.

The estimator (docs/METHODS.md 1.1, 1.2): an exponentially weighted bias and the root mean square of
what the bias left over. Errors are forecast minus observed, in degF. Pure and deterministic.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from dataclasses import dataclass
from datetime import date

from src.core.errors import ConfigError

_SEASON_OF_MONTH = (0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0)
# A season's long-run spread is only a floor once it has been seen for most of one season.
_MIN_SEASON_PAIRS = 60


@dataclass(frozen=True, slots=True)
class EstimatorConfig:
    """Parameters of the estimator; the defaults are the ones measured best at KNYC, KMDW and KMIA.

    ``bias_alpha``: weight of the newest error. ``sigma_window_days``: residuals that make the spread.
    ``sigma_inflation``: for parameter error. ``sigma_floor_f``: least spread at a lead of 12 h or more
    (degF). ``seasonal_floor_share``: least spread as a share of the season's long-run value.
    """

    bias_alpha: float = 0.05
    sigma_window_days: int = 120
    sigma_inflation: float = 1.03
    sigma_floor_f: float = 1.2
    seasonal_floor_share: float = 0.8

    def __post_init__(self) -> None:
        if not 0.0 < self.bias_alpha <= 1.0:
            raise ConfigError(f"bias_alpha is {self.bias_alpha}: set it above 0, at most 1 (0.05 is usual)")
        if self.sigma_window_days < 2:
            raise ConfigError(f"sigma_window_days is {self.sigma_window_days}: set it to 2 or more")
        if self.sigma_inflation < 1.0:
            raise ConfigError(f"sigma_inflation is {self.sigma_inflation}: set it to 1 or more")
        if self.sigma_floor_f <= 0.0:
            raise ConfigError(f"sigma_floor_f is {self.sigma_floor_f}: set it above 0 degF")
        if not 0.0 <= self.seasonal_floor_share <= 1.0:
            raise ConfigError(
                f"seasonal_floor_share is {self.seasonal_floor_share}: set it from 0 to 1 (0.8 is usual)"
            )


@dataclass(frozen=True, slots=True)
class Estimate:
    """The law of tomorrow's maximum, Normal(``mu``, ``sigma``) in degF, and how much it rests on.

    ``n_history`` counts the past days behind it. ``se_mu`` and ``se_sigma`` are the standard errors
    of the two parameters (the bias has an effective sample of ``(2 - alpha) / alpha`` days).
    """

    mu: float
    sigma: float
    bias: float
    n_history: int
    se_mu: float
    se_sigma: float


class ErrorHistory:
    """Past errors of one source at one station, and the bias and spread they imply.

    Errors are taken in date order whatever order they arrive in: one that is late or corrected
    rebuilds the state, so two histories with the same days give the same numbers.
    """

    def __init__(self, config: EstimatorConfig) -> None:
        self._config = config
        self._errors: dict[str, float] = {}
        self._dates: list[str] = []
        self._reset()

    def _reset(self) -> None:
        self._bias = 0.0
        self._taken = 0
        self._window: deque[float] = deque(maxlen=self._config.sigma_window_days)
        self._season_squares = [0.0] * 4
        self._season_counts = [0] * 4

    def __len__(self) -> int:
        return len(self._dates)

    @property
    def last_date(self) -> str:
        """The newest day with an error (ISO), or ``""``."""
        return self._dates[-1] if self._dates else ""

    def put(self, day: str, error: float) -> None:
        """Set the error of a day (ISO date, degF). The same value again changes nothing."""
        known = self._errors.get(day)
        if known == error:
            return
        self._errors[day] = error
        if known is None:
            insort(self._dates, day)
        if known is None and self._dates[-1] == day:
            self._take(day, error)
            return
        self._reset()
        for past in self._dates:
            self._take(past, self._errors[past])

    def _take(self, day: str, error: float) -> None:
        """Fold the next day in. The bias starts as the plain mean of the first ``1/alpha`` errors:
        starting from zero would need two months to forget a station's lasting bias."""
        if self._taken:
            residual = error - self._bias
            self._window.append(residual)
            season = _SEASON_OF_MONTH[int(day[5:7]) - 1]
            self._season_squares[season] += residual * residual
            self._season_counts[season] += 1
        self._taken += 1
        self._bias += max(self._config.bias_alpha, 1.0 / self._taken) * (error - self._bias)

    def estimate(self, forecast_f: float, target_date: str) -> Estimate | None:
        """Law of the maximum on ``target_date`` (ISO) given ``forecast_f``; None below two past days."""
        if not self._window:
            return None
        sigma = self._config.sigma_inflation * _rms(sum(r * r for r in self._window), len(self._window))
        sigma = max(sigma, self._config.sigma_floor_f, self._seasonal_floor(target_date))
        alpha = self._config.bias_alpha
        effective = min(float(self._taken), (2.0 - alpha) / alpha)
        return Estimate(
            mu=forecast_f - self._bias,
            sigma=sigma,
            bias=self._bias,
            n_history=self._taken,
            se_mu=sigma / math.sqrt(effective),
            se_sigma=sigma / math.sqrt(2.0 * len(self._window)),
        )

    def _seasonal_floor(self, target_date: str) -> float:
        season = _SEASON_OF_MONTH[date.fromisoformat(target_date).month - 1]
        count = self._season_counts[season]
        if count < _MIN_SEASON_PAIRS:
            return 0.0
        return self._config.seasonal_floor_share * _rms(self._season_squares[season], count)


def _rms(sum_of_squares: float, count: int) -> float:
    return math.sqrt(sum_of_squares / count)
