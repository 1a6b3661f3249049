"""The keys of the strategies and of the news they may listen to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from src.execution.limits import ExecutionStyle
from src.runtime.settings_base import Section

Series = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,40}$")]
SourceName = Annotated[str, Field(pattern=r"^[a-z0-9_]{2,40}$")]
FeedUrl = Annotated[str, Field(pattern=r"^https?://[^\s/]+(/\S*)?$", max_length=2_000)]


class UnbuiltStrategySettings(Section):
    """A strategy this version does not have. Its section is accepted so that files stay valid."""

    enabled: bool = Field(default=False, description="must be false in this version")

    @field_validator("enabled")
    @classmethod
    def _is_not_here(cls, value: bool) -> bool:
        if value:
            raise ValueError("must be false: this version has no such strategy, only weather_model")
        return value


class WeatherModelSettings(Section):
    """Daily maximum temperature markets."""

    enabled: bool = Field(default=True, description="whether the strategy runs")
    series: tuple[Series, ...] = Field(
        default=("KXHIGHNY", "KXHIGHCHI", "KXHIGHMIA", "KXHIGHAUS", "KXHIGHDEN", "KXHIGHLAX", "KXHIGHPHIL"),
        min_length=1,
        max_length=100,
        strict=False,
        description="Kalshi series traded",
    )
    model_weight: float = Field(
        default=0.3, ge=0, le=1, description="weight of the model when pooled with the market"
    )
    bias_alpha: float = Field(
        default=0.05, gt=0, lt=1, description="weight of the newest day in the running bias"
    )
    sigma_window_days: int = Field(
        default=120, ge=10, le=2_000, description="days behind the error's deviation"
    )
    min_history_days: int = Field(
        default=15, ge=5, le=2_000, description="scored days before a city is traded"
    )
    live_history_days: int = Field(
        default=300, ge=0, le=10_000, description="scored days before live trading"
    )
    max_forecast_age_hours: float = Field(
        default=36, gt=0, le=240, description="older forecasts are not used"
    )
    price_stop: bool = Field(default=False, description="whether risk.stop_loss_percentage applies too")
    thesis_margin: float | None = Field(
        default=0.02, ge=0, le=1, description="sell when the market pays this much over our value, dollars"
    )
    execution_style: ExecutionStyle = Field(
        default=ExecutionStyle.TAKER,
        strict=False,
        description="taker: buy what is offered; maker: rest post-only orders and offers at the target",
    )
    entry_time_to_live_seconds: float = Field(
        default=600, ge=10, le=86_400, description="age at which a resting entry is cancelled"
    )
    profit_target_percentage: float | None = Field(
        default=None, gt=0, le=1_000, description="gain of a position, in % of its cost, that closes it"
    )
    nws_contact: str = Field(
        default="operator@localhost",
        min_length=3,
        max_length=200,
        description="e-mail address or URL that the National Weather Service asks every program for",
    )
    sources: tuple[SourceName, ...] = Field(
        default=("nbm", "nws", "gfs_mos", "nam_mos"),
        min_length=1,
        max_length=20,
        strict=False,
        description="forecast sources, most trusted first",
    )

    @field_validator("series", "sources")
    @classmethod
    def _no_repetition(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        repeated = sorted({item for item in value if value.count(item) > 1})
        if repeated:
            raise ValueError(f"must not repeat {', '.join(repeated)}")
        return value

    @model_validator(mode="after")
    def _history_fits_the_window(self) -> WeatherModelSettings:
        if self.min_history_days > self.sigma_window_days:
            raise ValueError("min_history_days must not be more than sigma_window_days")
        return self


class StrategiesSettings(Section):
    """One section for each strategy."""

    speed_arbitrage: UnbuiltStrategySettings = UnbuiltStrategySettings()
    weather_model: WeatherModelSettings = WeatherModelSettings()
    pattern_detection: UnbuiltStrategySettings = UnbuiltStrategySettings()


class NewsSourceSettings(Section):
    """A polled news source."""

    enabled: bool = Field(default=False, description="whether this source is read")
    poll_seconds: float = Field(default=60, ge=1, le=86_400, description="pause between two reads")


class MeteredNewsSourceSettings(NewsSourceSettings):
    """A news source whose free plan allows few requests a day."""

    poll_seconds: float = Field(default=300, ge=1, le=86_400, description="pause between two reads")


class RssSettings(NewsSourceSettings):
    """RSS and Atom feeds."""

    feeds: tuple[FeedUrl, ...] = Field(default=(), max_length=200, strict=False, description="feed addresses")

    @model_validator(mode="after")
    def _enabled_needs_feeds(self) -> RssSettings:
        if self.enabled and not self.feeds:
            raise ValueError("enabled needs at least one address in feeds")
        return self


class NewsMonitoringSettings(Section):
    """News sources. Their keys come from the environment. Accepted so that files stay valid; not read yet."""

    enabled: bool = Field(default=False, description="must be false in this version")
    twitter: NewsSourceSettings = NewsSourceSettings()
    newsapi: MeteredNewsSourceSettings = MeteredNewsSourceSettings()
    alphavantage: MeteredNewsSourceSettings = MeteredNewsSourceSettings()
    rss: RssSettings = RssSettings()

    @field_validator("enabled")
    @classmethod
    def _is_not_here(cls, value: bool) -> bool:
        if value:
            raise ValueError("must be false: this version reads no news")
        return value
