"""What the generated crowd believes about a day's maximum. It is wrong by construction, and here is how.

* It removes only half (``BIAS_LEARNED``) of the station's forecast bias.
* It acts on a new forecast 20 to 40 minutes late (the delay is the caller's, ``REACTION_MINUTES``).
* It has a mood: a normal error of ``MOOD_SD_F`` degF, drawn anew with each forecast it digests.
* It overprices longshots: probabilities are raised to ``FLATTENING`` and renormalised over the ladder.

It knows the forecast's spread correctly, and it is quick with facts: an observation is digested within
minutes, and a bracket the running maximum has passed is worth nothing to it from then on. So a model
that removes the whole bias and reads forecasts at once has something to find, mostly soon after a
forecast and never after the maximum is in. Up to the morning of the day the mid costs about 0.005 of
Brier score per contract against the exact distribution, and about half of the events show a 5 cent edge
to a model pooled at weight 0.3 with the market.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from statistics import NormalDist

from src.core.errors import ConfigError
from src.core.events import DailyMaximum, ForecastUpdate, ObservationUpdate
from src.core.market import Strike, StrikeKind
from src.core.units import HOUR, Nanos
from src.simulator.generated_weather import Climate, diurnal_shape, whole_degrees

BIAS_LEARNED = 0.5
MOOD_SD_F = 0.4
FLATTENING = 0.9
REACTION_MINUTES = (20, 40)
_USUAL_PEAK_HOUR = 14.5
_MORNING_HOUR = 8.0


def whole_degree_range(strike: Strike) -> tuple[int | None, int | None]:
    """Lowest and highest whole degF that pay YES, ``None`` where open-ended."""
    if strike.kind is StrikeKind.LESS and strike.cap is not None:
        return None, int(strike.cap) - 1
    if strike.kind is StrikeKind.GREATER and strike.floor is not None:
        return int(strike.floor) + 1, None
    if strike.kind is StrikeKind.BETWEEN and strike.floor is not None and strike.cap is not None:
        return int(strike.floor), int(strike.cap)
    raise ConfigError(f"strike {strike} has no whole-degree range")


class CrowdBelief:
    """The crowd's distribution of one day's maximum, from what it has digested so far."""

    def __init__(self, rng: Random, climate: Climate, day_start: Nanos) -> None:
        self._rng = rng
        self._climate = climate
        self._day_start = day_start
        self._mean = climate.annual_mean_f
        self._sd = climate.anomaly_sd_f
        self._running: int | None = None
        self._surprise = 0.0

    @property
    def expected_f(self) -> float:
        """The maximum the crowd expects from the forecast alone."""
        return self._mean

    def digest(self, item: ForecastUpdate | ObservationUpdate | DailyMaximum) -> None:
        """Take a public fact into account."""
        if isinstance(item, ForecastUpdate):
            mood = self._rng.gauss(0, MOOD_SD_F)
            self._mean = item.tmax_f - BIAS_LEARNED * self._climate.bias_f + mood
            self._sd = self._climate.run_sd(item.lead_days)
        elif isinstance(item, ObservationUpdate):
            hour = self._local_hour(item.ts_event)
            below = self._climate.daily_range_f * (1 - diurnal_shape(hour, _USUAL_PEAK_HOUR))
            self._surprise = item.temp_f - (self._mean - below)
            self._raise_running(whole_degrees(item.temp_f))
        else:
            self._raise_running(item.tmax_f)

    def probabilities(self, strikes: Sequence[Strike], now: Nanos) -> list[float]:
        """Probability of each strike of an exhaustive ladder at ``now``; they sum to 1."""
        rest = self._rest_of_day(self._local_hour(now))
        raw: list[float] = []
        for strike in strikes:
            low, high = whole_degree_range(strike)
            above = 0.0 if low is None else self._at_most(low - 1, rest)
            upto = 1.0 if high is None else self._at_most(high, rest)
            raw.append(max(0.0, upto - above) ** FLATTENING)
        total = sum(raw)
        return [value / total for value in raw]

    def _at_most(self, degrees: int, rest: NormalDist) -> float:
        """P(maximum <= degrees), where maximum = max(running maximum, rest of the day)."""
        if self._running is not None and degrees < self._running:
            return 0.0
        return rest.cdf(degrees + 0.5)

    def _rest_of_day(self, hour: float) -> NormalDist:
        """Maximum over what is left of the day: nudged by the last reading, fading after the peak."""
        progress = max(0.0, min(1.0, (hour - _MORNING_HOUR) / 7))
        drop = 1.3 * max(0.0, hour - _USUAL_PEAK_HOUR - 1)
        mean = self._mean + 0.8 * progress**2 * self._surprise - drop
        return NormalDist(mean, max(0.4, self._sd * (1 - 0.6 * progress)))

    def _raise_running(self, degrees: int) -> None:
        self._running = degrees if self._running is None else max(self._running, degrees)

    def _local_hour(self, ts: Nanos) -> float:
        return (ts - self._day_start) / HOUR
