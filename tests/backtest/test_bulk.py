"""Leaving rows out in bulk must not change one decision, one fill or one mark."""

from __future__ import annotations

from pathlib import Path

import pytest

from backtest.bulk import thin
from backtest.clockwork import Latency
from backtest.file_world import FileWorld
from backtest.reference_strategies import BuyUnder
from backtest.runner import Plan, Result, run
from backtest.sample import write_sample
from backtest.strategies import HOLD
from src.core.units import MINUTE, Nanos
from src.execution.limits import RiskLimits

LIMITS = RiskLimits(max_open_positions=30, consecutive_losses=100, max_portfolio_heat=0.9)


def play(world: FileWorld, latency: Latency, tick: Nanos, below: int, limits: RiskLimits = LIMITS) -> Result:
    return run(Plan(world, BuyUnder(below), limits, HOLD, latency, tick=tick))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("latency_ms", "bar_minutes", "tick_minutes", "below"),
    [(250, 0, 5, 4_000), (0, 0, 60, 2_500), (10_000, 0, 7, 5_000), (250, 3, 30, 4_000)],
)
def test_the_thinned_run_equals_the_row_by_row_run(
    tmp_path: Path, seed: int, latency_ms: float, bar_minutes: int, tick_minutes: int, below: int
) -> None:
    write_sample(tmp_path / "s.csv", seed)
    world = FileWorld.read(tmp_path / "s.csv")
    total = Latency.of_total(latency_ms)
    latency = Latency(total.feed, total.order, total.answer, bar_minutes * MINUTE)
    tick = tick_minutes * MINUTE
    thinned = thin(world, BuyUnder(below).wakes(), latency, tick)
    assert thinned.quotes().height < world.quotes().height
    full, bulk = play(world, latency, tick, below), play(thinned, latency, tick, below)
    assert full.trades, "the case must trade to show anything"
    assert bulk.log == full.log
    assert bulk.sha256 == full.sha256
    assert bulk.curve == full.curve
    assert bulk.closing_equity == full.closing_equity


def test_a_strategy_that_never_speaks_keeps_no_row(sample_world: FileWorld) -> None:
    assert thin(sample_world, BuyUnder(100).wakes(), Latency.of_total(250), MINUTE).quotes().is_empty()


def test_default_limits_and_breakers_hold_in_bulk_as_well(sample_world: FileWorld) -> None:
    latency, tick = Latency.of_total(250), 5 * MINUTE
    thinned = thin(sample_world, BuyUnder(4_500).wakes(), latency, tick)
    full = play(sample_world, latency, tick, 4_500, RiskLimits())
    bulk = play(thinned, latency, tick, 4_500, RiskLimits())
    assert bulk.sha256 == full.sha256
    assert bulk.refusals == full.refusals != {}
