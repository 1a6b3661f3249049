"""The keys of ``risk`` that bound losses over time and what correlated positions may lose together."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from src.runtime.settings_base import Section
from src.runtime.settings_strategies import Series

StrategyName = Annotated[str, Field(pattern=r"^[a-z0-9_]{2,40}$")]


class LossLimitSettings(Section):
    """When losses stop trading."""

    soft_loss_percentage: float = Field(
        default=60,
        gt=0,
        le=100,
        description="part of the daily and 24-hour limits at which entries stop for the day, "
        "and of the drawdown at which stakes are halved, %",
    )
    max_24h_loss_percentage: float = Field(
        default=15, gt=0, le=100, description="fall from the best of the last 24 hours that halts trading, %"
    )
    max_drawdown_percentage: float = Field(
        default=25, gt=0, le=100, description="fall from the best ever that halts trading, %"
    )


class CorrelatedGroupSettings(Section):
    """Series that win and lose together."""

    name: str = Field(min_length=1, max_length=60, description="what they have in common")
    series: tuple[Series, ...] = Field(
        min_length=2, max_length=100, strict=False, description="Kalshi series of the group"
    )
    max_share: float = Field(gt=0, le=1, description="share of the account that all of them may lose")


class ConcentrationSettings(Section):
    """How much of the account may be lost in one place. Orders count as filled."""

    max_event_share: float = Field(
        default=0.10, gt=0, le=1, description="share of the account that one event may lose"
    )
    max_city_share: float = Field(
        default=0.15, gt=0, le=1, description="share that one weather station may lose, all its days together"
    )
    max_region_share: float = Field(
        default=0.15, gt=0, le=1, description="share that neighbouring cities may lose on the same day"
    )
    neighbour_distance_km: float = Field(
        default=400, ge=0, le=20_100, description="cities closer than this are neighbours"
    )
    max_category_share: float = Field(
        default=0.20, gt=0, le=1, description="share that one category of markets may lose"
    )
    max_strategy_share: float = Field(
        default=0.20, gt=0, le=1, description="share that one strategy may lose"
    )
    correlated_groups: tuple[CorrelatedGroupSettings, ...] = Field(
        default=(), max_length=100, strict=False, description="series with a limit of their own together"
    )

    @field_validator("correlated_groups")
    @classmethod
    def _names_differ(cls, value: tuple[CorrelatedGroupSettings, ...]) -> tuple[CorrelatedGroupSettings, ...]:
        names = [group.name for group in value]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"must not name two groups alike: {', '.join(repeated)}")
        return value

    @model_validator(mode="after")
    def _a_part_is_no_more_than_the_whole(self) -> ConcentrationSettings:
        if self.max_event_share > self.max_city_share:
            raise ValueError(
                f"max_event_share ({self.max_event_share:g}) must not be more than max_city_share "
                f"({self.max_city_share:g}): a city's events are part of it"
            )
        return self
