"""Configuration of the weather model, checked once when it is built."""

from __future__ import annotations

from dataclasses import dataclass, field

from src.core.errors import ConfigError
from src.core.stations import station_for_series
from src.edge_detection.weather_estimator import EstimatorConfig


@dataclass(frozen=True, slots=True)
class WeatherConfig:
    """What the weather model trades, on which forecasts, and how sure it must be.

    ``series``: daily-high series, e.g. ``KXHIGHNY``. ``sources``: forecast sources, preferred first; the
    first that is fresh and has enough history is used. ``model_weight``: share of the model in the pool
    with the market. ``min_history_days``: judged days below which nothing is traded.
    ``max_history_gap_days``: a bias last updated longer before the target day is out of date.
    ``min_edge``: dollars per contract after fees (never less than 3 cents is asked for).
    ``max_forecast_age_hours``: since the issue. ``max_lead_days``: longer forecasts are not day-ahead
    ones. ``latest_entry_hours_before_day``: entries end this long before the climate day begins.
    ``sharpness_ratio``: no trade when the model's spread exceeds this multiple of the market's.
    ``require_live_history``: refuse signals until ``live_history_days`` scored city-days exist and the
    model's coefficient given the market is positive with 95 % confidence.
    """

    series: tuple[str, ...]
    sources: tuple[str, ...]
    estimator: EstimatorConfig = field(default_factory=EstimatorConfig)
    model_weight: float = 0.3
    min_history_days: int = 15
    max_history_gap_days: int = 7
    min_edge: float = 0.03
    max_forecast_age_hours: float = 24.0
    max_lead_days: float = 1.5
    latest_entry_hours_before_day: float = 0.0
    sharpness_ratio: float = 1.15
    live_history_days: int = 300
    require_live_history: bool = False

    def __post_init__(self) -> None:
        if not self.series:
            raise ConfigError("weather series is empty: name at least one, e.g. KXHIGHNY")
        for series in self.series:
            station_for_series(series)
        if not self.sources:
            raise ConfigError("weather sources is empty: name at least one, e.g. nws")
        if not 0.0 <= self.model_weight <= 1.0:
            raise ConfigError(f"model_weight is {self.model_weight}: set it from 0 to 1 (0.3 is usual)")
        if self.min_history_days < 2:
            raise ConfigError(f"min_history_days is {self.min_history_days}: set it to 2 or more")
        for name in ("max_history_gap_days", "max_forecast_age_hours", "max_lead_days", "sharpness_ratio"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}: set it above 0")
        for name in ("min_edge", "latest_entry_hours_before_day", "live_history_days"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}: set it to 0 or more")
