"""Weather of the generated world: true maxima, forecasts, observations and daily reports.

The construction makes the right answer known exactly. For a climate day the *expected* maximum starts
at seasonal mean + AR(1) anomaly and moves with every model run by an independent normal revision; the
true maximum is the last expectation plus a last normal error. A published forecast is that expectation
plus the station's constant bias. So, given the runs public so far, the continuous maximum is normal
with mean ``tmax_f - climate.bias_f`` of the newest run and standard deviation ``run_sd`` of that run:
errors shrink with lead, are correlated between runs, and no older run adds anything.

Observations are hourly (hh:53 local standard time), stay at or below the maximum and reach it once; one
day in ten peaks late, and then the afternoon's preliminary report is revised upwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from src.core.events import DailyMaximum, ForecastUpdate, ObservationUpdate
from src.core.stations import Station, climate_day_bounds, station_for_series, utc_midnight
from src.core.units import HOUR, MINUTE, Nanos

SOURCE = "nbm"
# (model run relative to 00Z of the target day in hours, sd of its error in degF for scale 1).
RUNS: tuple[tuple[int, float], ...] = (
    (-24, 2.60),
    (-18, 2.45),
    (-12, 2.30),
    (-6, 2.00),
    (0, 1.75),
    (6, 1.45),
    (12, 1.20),
)
_AR1 = 0.75
_PEAK_HOURS = ((13, 0.20), (14, 0.35), (15, 0.30), (16, 0.10), (17, 0.05))
_PRELIMINARY_HOUR = 16.5


@dataclass(frozen=True, slots=True)
class Climate:
    """A city's made-up climate in degF; ``bias_f`` = forecast minus truth, ``sd_scale`` scales ``RUNS``."""

    series_ticker: str
    annual_mean_f: float
    annual_amplitude_f: float
    anomaly_sd_f: float
    daily_range_f: float
    bias_f: float
    sd_scale: float

    def seasonal_mean(self, day: date) -> float:
        """Expected maximum of a calendar day; warmest around 20 July."""
        phase = 2 * math.pi * (day.timetuple().tm_yday - 201) / 365.25
        return self.annual_mean_f + self.annual_amplitude_f * math.cos(phase)

    def run_sd(self, lead_days: float) -> float:
        """Standard deviation of (truth - debiased forecast) for a run with this lead."""
        hours = round(12 - 24 * lead_days)
        return self.sd_scale * dict(RUNS)[hours]


CLIMATES: tuple[Climate, ...] = (
    Climate("KXHIGHNY", 62.5, 23.0, 6.5, 13.0, -1.4, 1.00),
    Climate("KXHIGHCHI", 59.5, 27.0, 8.0, 15.0, 1.2, 1.10),
    Climate("KXHIGHMIA", 84.5, 7.5, 3.0, 11.0, -0.8, 0.80),
    Climate("KXHIGHDEN", 65.0, 22.0, 9.0, 24.0, -1.6, 1.15),
)


@dataclass(frozen=True, slots=True)
class DayWeather:
    """What becomes public about one climate day, each tuple in order; ``maximum_f`` settles."""

    iso_date: str
    maximum_f: int
    forecasts: tuple[ForecastUpdate, ...]
    observations: tuple[ObservationUpdate, ...]
    preliminary: DailyMaximum
    final: DailyMaximum

    @property
    def record(self) -> tuple[ForecastUpdate | DailyMaximum, ...]:
        """What past days are remembered by: every forecast, then the final maximum."""
        return (*self.forecasts, self.final)

    @property
    def news(self) -> tuple[ForecastUpdate | ObservationUpdate | DailyMaximum, ...]:
        """Everything, forecasts first; not in order of time."""
        return (*self.forecasts, *self.observations, self.preliminary, self.final)


def whole_degrees(temp_f: float) -> int:
    """Whole degF as the climate report rounds them: halves up."""
    return math.floor(temp_f + 0.5)


def diurnal_shape(hour: float, peak_hour: float) -> float:
    """Share (0..1) of the day's range reached at local standard ``hour``; 1 at the peak."""
    since = hour - peak_hour
    width = 10.0 if since < 0 else 14.0
    return 0.5 * (1 + math.cos(math.pi * max(-1.0, min(1.0, since / width))))


class CityWeather:
    """The weather of one city from ``first_date`` on, for ``days`` consecutive climate days.

    Every day has its own random stream, so days and cities do not disturb each other.
    """

    def __init__(self, seed: int, climate: Climate, first_date: date, days: int) -> None:
        self.climate = climate
        self.station: Station = station_for_series(climate.series_ticker)
        self._seed = seed
        self._first_date = first_date
        self._anomalies: list[float] = []
        rng = Random(f"{seed}|{climate.series_ticker}|anomaly")
        anomaly = rng.gauss(0, climate.anomaly_sd_f)
        innovation_sd = climate.anomaly_sd_f * math.sqrt(1 - _AR1**2)
        for _ in range(days):
            self._anomalies.append(anomaly)
            anomaly = _AR1 * anomaly + rng.gauss(0, innovation_sd)

    def day(self, index: int) -> DayWeather:
        """The weather of the ``index``-th climate day (0 is ``first_date``)."""
        day = self._first_date + timedelta(days=index)
        rng = Random(f"{self._seed}|{self.climate.series_ticker}|{day.isoformat()}|weather")
        expected = self.climate.seasonal_mean(day) + self._anomalies[index]
        forecasts: list[ForecastUpdate] = []
        for number, (run_hour, sd) in enumerate(RUNS):
            forecasts.append(self._forecast(rng, day.isoformat(), run_hour, expected))
            next_sd = RUNS[number + 1][1] if number + 1 < len(RUNS) else 0.0
            expected += rng.gauss(0, self.climate.sd_scale * math.sqrt(sd**2 - next_sd**2))
        maximum = round(expected, 1)
        observations = self._observations(rng, day.isoformat(), maximum)
        preliminary, final = self._reports(rng, day.isoformat(), maximum, observations)
        return DayWeather(
            day.isoformat(), whole_degrees(maximum), tuple(forecasts), observations, preliminary, final
        )

    def _forecast(self, rng: Random, iso_date: str, run_hour: int, expected: float) -> ForecastUpdate:
        issued = utc_midnight(iso_date) + run_hour * HOUR
        known = issued + 60 * MINUTE + rng.randrange(0, 10) * MINUTE
        return ForecastUpdate(
            series_ticker=self.climate.series_ticker,
            station=self.station.icao,
            target_date=iso_date,
            source=SOURCE,
            lead_days=(12 - run_hour) / 24,
            tmax_f=round(expected + self.climate.bias_f, 1),
            issued_ts=issued,
            ts_event=known,
            ts_recv=known,
        )

    def _observations(self, rng: Random, iso_date: str, maximum: float) -> tuple[ObservationUpdate, ...]:
        start, _ = climate_day_bounds(iso_date, self.station)
        hours, weights = zip(*_PEAK_HOURS, strict=True)
        peak = rng.choices(hours, weights)[0]
        readings: list[ObservationUpdate] = []
        noise = rng.gauss(0, 1.5)
        for hour in range(24):
            below = self.climate.daily_range_f * (1 - diurnal_shape(hour, peak))
            noise = 0.7 * noise + rng.gauss(0, 1.0)
            wobble = noise * min(1.0, below / 3)
            temp = maximum if hour == peak else min(maximum, round(maximum - below + wobble, 1))
            taken = start + hour * HOUR + 53 * MINUTE
            readings.append(
                ObservationUpdate(
                    self.climate.series_ticker,
                    self.station.icao,
                    temp,
                    ts_event=taken,
                    ts_recv=taken + 4 * MINUTE,
                )
            )
        return tuple(readings)

    def _reports(
        self, rng: Random, iso_date: str, maximum: float, observations: tuple[ObservationUpdate, ...]
    ) -> tuple[DailyMaximum, DailyMaximum]:
        start, end = climate_day_bounds(iso_date, self.station)
        afternoon = start + int(_PRELIMINARY_HOUR * HOUR)
        so_far = max(o.temp_f for o in observations if o.ts_event <= afternoon)
        return (
            self._report(iso_date, so_far, False, afternoon + rng.randrange(5, 20) * MINUTE),
            self._report(iso_date, maximum, True, end + rng.randrange(120, 240) * MINUTE),
        )

    def _report(self, iso_date: str, maximum: float, final: bool, ts: Nanos) -> DailyMaximum:
        return DailyMaximum(
            self.climate.series_ticker,
            self.station.icao,
            iso_date,
            whole_degrees(maximum),
            final,
            ts_event=ts,
            ts_recv=ts,
        )
