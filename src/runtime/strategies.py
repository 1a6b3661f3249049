"""The strategies of the configuration: one entry each, for the daemon and the backtester alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from src.core.ports import Strategy
from src.core.units import CENT_PRICE, SECOND
from src.edge_detection.weather_config import WeatherConfig
from src.edge_detection.weather_estimator import EstimatorConfig
from src.edge_detection.weather_model import WeatherModel
from src.execution.limits import EntryPolicy, ExitLadder, ExitPolicy
from src.runtime.settings import Settings
from src.runtime.settings_mode import Mode

Built: TypeAlias = tuple[Strategy, ExitPolicy]


@dataclass(frozen=True, slots=True)
class StrategyEntry:
    """A strategy that the configuration knows.

    ``key``: its section under ``strategies``; ``short``: what people call it; ``build``: a fresh one, and
    how its positions are left.
    """

    key: str
    short: str
    what: str
    is_enabled: Callable[[Settings], bool]
    build: Callable[[Settings, Mode], Built]


def weather_config(settings: Settings, mode: Mode) -> WeatherConfig:
    """The weather model's configuration; live trading asks for its own evidence first."""
    weather = settings.strategies.weather_model
    return WeatherConfig(
        series=weather.series,
        sources=weather.sources,
        estimator=EstimatorConfig(bias_alpha=weather.bias_alpha, sigma_window_days=weather.sigma_window_days),
        model_weight=weather.model_weight,
        min_history_days=weather.min_history_days,
        min_edge=settings.trading.min_edge_threshold,
        max_forecast_age_hours=weather.max_forecast_age_hours,
        live_history_days=weather.live_history_days,
        require_live_history=mode is Mode.LIVE,
    )


def entry_policy(settings: Settings) -> EntryPolicy:
    """How the weather model's entries are made."""
    weather = settings.strategies.weather_model
    return EntryPolicy(weather.execution_style, int(weather.entry_time_to_live_seconds * SECOND))


def exit_policy(settings: Settings) -> ExitPolicy:
    """When and how the weather model's positions are left before they settle."""
    weather, risk = settings.strategies.weather_model, settings.risk
    target = weather.profit_target_percentage
    return ExitPolicy(
        price_stop=weather.price_stop,
        thesis_margin=weather.thesis_margin,
        profit_target=None if target is None else target / 100,
        style=weather.execution_style,
        ladder=ExitLadder(
            concessions=tuple(cents * CENT_PRICE for cents in risk.exit_ladder_cents),
            reprice_after=int(risk.exit_reprice_seconds * SECOND),
            floor_share=risk.exit_floor_share,
        ),
    )


def _weather(settings: Settings, mode: Mode) -> Built:
    return WeatherModel(weather_config(settings, mode)), exit_policy(settings)


STRATEGIES: tuple[StrategyEntry, ...] = (
    StrategyEntry(
        key="weather_model",
        short="weather",
        what="daily-high markets from forecasts, pooled with the market",
        is_enabled=lambda settings: settings.strategies.weather_model.enabled,
        build=_weather,
    ),
)
