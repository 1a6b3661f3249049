"""Bias and spread: hand-computed values, order independence, floors."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.errors import ConfigError
from src.edge_detection.weather_estimator import ErrorHistory, EstimatorConfig

PLAIN = EstimatorConfig(bias_alpha=0.5, sigma_inflation=1.0, sigma_floor_f=0.001, seasonal_floor_share=0.0)
DAYS = [f"2026-{month:02d}-{day:02d}" for month in range(1, 13) for day in range(1, 29)]


def filled(errors, config=PLAIN):
    history = ErrorHistory(config)
    for day, error in zip(DAYS, errors, strict=False):
        history.put(day, error)
    return history


def test_bias_and_spread_by_hand():
    """b: 2, (2+4)/2 = 3, 3 + 0.5*(1-3) = 2; residuals 4-2 = 2 and 1-3 = -2, so sigma is 2."""
    estimate = filled([2.0, 4.0, 1.0]).estimate(70.0, "2026-02-01")
    assert estimate.bias == pytest.approx(2.0)
    assert estimate.mu == pytest.approx(68.0)
    assert estimate.sigma == pytest.approx(2.0)
    assert estimate.n_history == 3
    assert estimate.se_mu == pytest.approx(2.0 / math.sqrt(3.0))
    assert estimate.se_sigma == pytest.approx(1.0)


def test_lasting_bias_is_learned_at_once():
    """A source that is always 1.4 degF too cold is corrected from the second day on, not after months."""
    assert filled([-1.4] * 5, EstimatorConfig()).estimate(70.0, "2026-02-01").mu == pytest.approx(71.4)


def test_effective_sample_of_the_bias_is_39_days():
    """se(mu) = sigma / sqrt((2 - a) / a) for a long history (SCIENCE 2.4 step 9)."""
    estimate = filled([0.0] * 200, EstimatorConfig(sigma_floor_f=2.4)).estimate(70.0, "2026-02-01")
    assert estimate.se_mu == pytest.approx(2.4 / math.sqrt(39.0))
    assert estimate.se_sigma == pytest.approx(2.4 / math.sqrt(240.0))


def test_no_estimate_before_two_days():
    """One error gives a bias but no residual, hence no spread."""
    assert filled([]).estimate(70.0, "2026-02-01") is None
    assert filled([1.0]).estimate(70.0, "2026-02-01") is None


def test_spread_never_falls_below_its_floors():
    """A quiet fortnight does not make tomorrow certain: 1.2 degF, and 0.8 of the season's long run."""
    assert filled([0.0] * 20, EstimatorConfig()).estimate(70.0, "2026-02-01").sigma == 1.2
    winter, spring = [0.0] * 56, [5.0 if i % 2 else -5.0 for i in range(84)]
    calmed_down = filled(winter + spring + [0.0] * 60, EstimatorConfig(sigma_window_days=10))
    assert calmed_down.estimate(70.0, "2026-05-15").sigma > 0.75 * 5.0
    assert calmed_down.estimate(70.0, "2026-08-15").sigma == 1.2


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=60), st.randoms(use_true_random=False))
def test_arrival_order_and_repetition_do_not_matter(errors: list[float], shuffler: random.Random):
    """Late, repeated and corrected days end in the same numbers as days in order."""
    in_order = filled(errors).estimate(70.0, "2026-06-01")
    days = list(zip(DAYS, errors, strict=False))
    shuffler.shuffle(days)
    history = ErrorHistory(PLAIN)
    for day, _ in days:
        history.put(day, 99.0)
    for day, error in days + days:
        history.put(day, error)
    assert history.estimate(70.0, "2026-06-01") == in_order
    assert history.last_date == DAYS[len(errors) - 1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bias_alpha", 0.0),
        ("sigma_window_days", 1),
        ("sigma_inflation", 0.9),
        ("sigma_floor_f", 0.0),
        ("seasonal_floor_share", 1.1),
    ],
)
def test_a_bad_parameter_is_named(field: str, value: float):
    with pytest.raises(ConfigError, match=field):
        EstimatorConfig(**{field: value})
