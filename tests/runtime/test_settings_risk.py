"""Limits of concentration and of losses over time: as written in the file, as the engine gets them."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.core.errors import ConfigError
from src.execution.limits import CorrelatedGroup
from src.runtime.assemble import risk_limits
from src.runtime.settings import load_settings


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_the_file_says_is_what_the_engine_gets(tmp_path: Path) -> None:
    """Every new key reaches its limit, in core units."""
    path = write(
        tmp_path,
        """
risk:
  soft_loss_percentage: 50
  max_24h_loss_percentage: 8
  max_drawdown_percentage: 12.5
  max_event_share: 0.03
  max_city_share: 0.04
  max_region_share: 0.05
  neighbour_distance_km: 250
  max_category_share: 0.3
  max_strategy_share: 0.25
  strategies_off: [weather_model]
  correlated_groups:
    - {name: East Coast, series: [KXHIGHNY, KXHIGHPHIL], max_share: 0.12}
""",
    )
    limits = risk_limits(load_settings(path, {}, None))
    assert (limits.soft_loss, limits.max_loss_24h, limits.max_drawdown) == (0.5, 0.08, 0.125)
    assert (limits.max_event, limits.max_city, limits.max_region) == (0.03, 0.04, 0.05)
    assert (limits.neighbour_km, limits.max_category, limits.max_strategy) == (250, 0.3, 0.25)
    assert limits.groups == (CorrelatedGroup("East Coast", frozenset({"KXHIGHNY", "KXHIGHPHIL"}), 0.12),)
    assert limits.strategies_off == {"weather_model"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("max_event_share: 0.2", "must not be more than max_city_share"),
        ("max_drawdown_percentage: 0", "risk.max_drawdown_percentage"),
        ("max_event_share: 1.5", "risk.max_event_share"),
        ("strategies_off: [Weather Model]", "risk.strategies_off"),
        ("correlated_groups: [{name: a, series: [KXHIGHNY], max_share: 0.1}]", "risk.correlated_groups"),
        (
            "correlated_groups: [{name: a, series: [AA, BB], max_share: 0.1},"
            " {name: a, series: [CC, DD], max_share: 0.1}]",
            "must not name two groups alike: a",
        ),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    """A mistyped limit is a limit that does not exist."""
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, f"risk:\n  {text}\n"), {}, None)
    assert says in str(caught.value)
