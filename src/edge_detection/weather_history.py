"""Forecasts and observed maxima as they became known, paired into each source's errors.

A source's error on a day is that of its day-ahead forecast: of the forecasts first known before the
climate day began, the one whose lead is closest to one day. Which forecast that is never depends on the
outcome, and an outcome counts only from the moment it is delivered, so nothing here looks ahead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from src.core.events import DailyMaximum, ForecastUpdate
from src.core.stations import Station, climate_day_bounds
from src.edge_detection.weather_estimator import ErrorHistory, EstimatorConfig

_DAY_AHEAD = 1.0


@dataclass(slots=True)
class _DayForecasts:
    """What one source said about one day: its newest issue, and the one it is judged by."""

    newest: ForecastUpdate
    judged: ForecastUpdate


class WeatherHistory:
    """Everything learned about the forecasts of the given stations. Repeated messages change nothing.

    ``max_lead_days``: longer forecasts are not day-ahead ones and are neither judged nor used.
    """

    def __init__(self, stations: Iterable[Station], config: EstimatorConfig, max_lead_days: float) -> None:
        self._stations = {station.icao: station for station in stations}
        self._config = config
        self._max_lead_days = max_lead_days
        self._days: dict[tuple[str, str], dict[str, _DayForecasts]] = {}
        self._errors: dict[tuple[str, str], ErrorHistory] = {}
        self._observed: dict[tuple[str, str], int] = {}

    def take_forecast(self, forecast: ForecastUpdate) -> bool:
        """Keep a day-ahead forecast; returns whether it is now the newest of its source for its day."""
        station = self._stations.get(forecast.station)
        if station is None or forecast.lead_days > self._max_lead_days:
            return False
        start, _ = climate_day_bounds(forecast.target_date, station)
        if forecast.ts_event >= start:
            return False
        source = (forecast.station, forecast.source)
        days = self._days.setdefault(source, {})
        known = days.get(forecast.target_date)
        if known is None:
            days[forecast.target_date] = _DayForecasts(forecast, forecast)
            self._pair(source, forecast.target_date)
            return True
        if _distance(forecast) < _distance(known.judged):
            known.judged = forecast
            self._pair(source, forecast.target_date)
        if _age_key(forecast) <= _age_key(known.newest):
            return False
        known.newest = forecast
        return True

    def take_maximum(self, maximum: DailyMaximum) -> None:
        """Judge every source by the day's final maximum; a corrected value replaces the earlier one."""
        if not maximum.final or maximum.station not in self._stations:
            return
        day = (maximum.station, maximum.date)
        if self._observed.get(day) == maximum.tmax_f:
            return
        self._observed[day] = maximum.tmax_f
        for source in self._days:
            if source[0] == maximum.station:
                self._pair(source, maximum.date)

    def _pair(self, source: tuple[str, str], date: str) -> None:
        day = self._days[source].get(date)
        observed = self._observed.get((source[0], date))
        if day is None or observed is None:
            return
        errors = self._errors.setdefault(source, ErrorHistory(self._config))
        errors.put(date, day.judged.tmax_f - observed)

    def newest(self, station: str, source: str, date: str) -> ForecastUpdate | None:
        """The newest day-ahead forecast of ``source`` for ``date`` (ISO), or None."""
        day = self._days.get((station, source), {}).get(date)
        return None if day is None else day.newest

    def errors(self, station: str, source: str) -> ErrorHistory | None:
        """The judged days of ``source`` at ``station``, or None when there is none."""
        return self._errors.get((station, source))

    def observed(self, station: str, date: str) -> int | None:
        """The final maximum (whole degF) of a climate day, or None while it is not known."""
        return self._observed.get((station, date))


def _distance(forecast: ForecastUpdate) -> tuple[float, int]:
    """How far from a day ahead; the earlier issue wins a tie, so that arrival order does not matter."""
    return abs(forecast.lead_days - _DAY_AHEAD), forecast.issued_ts


def _age_key(forecast: ForecastUpdate) -> tuple[int, int]:
    return forecast.issued_ts, forecast.ts_event
