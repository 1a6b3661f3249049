"""Brackets of one event: completeness, the market's normal, pooling and its standard error."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.brackets import exhaustive_ladder
from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus, Strike, StrikeKind
from src.core.probability import normal_pdf
from src.edge_detection.ladder import (
    fit_normal,
    ladder_probabilities,
    market_consensus,
    pool_ladder,
    strikes_of,
)
from src.edge_detection.weather_estimator import Estimate

STRIKES = (
    Strike(StrikeKind.LESS, cap=70.0),
    Strike(StrikeKind.BETWEEN, floor=70.0, cap=71.0),
    Strike(StrikeKind.BETWEEN, floor=72.0, cap=73.0),
    Strike(StrikeKind.BETWEEN, floor=74.0, cap=75.0),
    Strike(StrikeKind.BETWEEN, floor=76.0, cap=77.0),
    Strike(StrikeKind.GREATER, floor=77.0),
)


def markets(strikes):
    return [
        Market(f"T{i}", "E", "S", MarketStatus.ACTIVE, 0, 1, LINEAR_CENT, FeeSchedule(), strike=strike)
        for i, strike in enumerate(strikes)
    ]


def test_a_complete_ladder_comes_back_in_strike_order():
    ladder = exhaustive_ladder(markets(reversed(STRIKES)))
    assert ladder is not None
    assert strikes_of(ladder) == STRIKES


@pytest.mark.parametrize(
    "strikes",
    [
        (),
        STRIKES[:1],
        STRIKES[1:],
        STRIKES[:-1],
        STRIKES[:2] + STRIKES[3:],
        STRIKES + STRIKES[2:3],
        (*STRIKES[:5], Strike(StrikeKind.GREATER, floor=78.0)),
        (Strike(StrikeKind.LESS, cap=69.0), *STRIKES[1:]),
        (*STRIKES, Strike(StrikeKind.OTHER)),
        (*STRIKES[:5], Strike(StrikeKind.GREATER)),
        (*STRIKES[:2], replace(STRIKES[2], cap=73.5), *STRIKES[3:]),
    ],
)
def test_a_gap_an_overlap_or_a_missing_tail_is_no_ladder(strikes):
    """Every whole degree must pay exactly one market, or the probabilities mean nothing."""
    assert exhaustive_ladder(markets(strikes)) is None


def test_a_market_without_a_strike_is_no_ladder():
    assert exhaustive_ladder([*markets(STRIKES), replace(markets(STRIKES)[0], strike=None)]) is None


@given(st.floats(40, 100), st.floats(0.5, 10))
def test_bracket_probabilities_sum_to_one(mu: float, sigma: float):
    assert sum(ladder_probabilities(STRIKES, mu, sigma)) == pytest.approx(1.0, abs=1e-12)


@given(st.floats(70, 77), st.floats(1.0, 5.0))
def test_the_fit_finds_the_normal_the_prices_were_made_from(mu: float, sigma: float):
    fitted = fit_normal(STRIKES, ladder_probabilities(STRIKES, mu, sigma))
    assert fitted is not None
    assert fitted == pytest.approx((mu, sigma), abs=1e-3)


@given(st.lists(st.floats(0.0005, 0.9995), min_size=6, max_size=6))
def test_the_fit_of_any_prices_settles_or_says_no(mids: list[float]):
    """Prices are somebody else's: no combination may raise or loop."""
    fitted = fit_normal(STRIKES, mids)
    assert fitted is None or 0.3 <= fitted[1] <= 15.0


def test_a_one_sided_bracket_takes_the_fitted_probability():
    fair = ladder_probabilities(STRIKES, 73.4, 2.2)
    consensus = market_consensus(STRIKES, (None, *fair[1:]))
    assert consensus is not None
    assert consensus.probabilities == pytest.approx(fair, abs=1e-4)
    assert (consensus.mu, consensus.sigma) == pytest.approx((73.4, 2.2), abs=1e-3)


def test_three_mids_are_no_consensus():
    fair = ladder_probabilities(STRIKES, 73.4, 2.2)
    assert market_consensus(STRIKES, (None, None, None, *fair[3:])) is None


@given(
    st.floats(68, 79),
    st.floats(1.2, 5.0),
    st.floats(68, 79),
    st.floats(1.2, 5.0),
    st.floats(0.0, 1.0),
)
def test_pooled_probabilities_sum_to_one_and_lie_between(mu, sigma, mu_market, sigma_market, weight):
    """The pool is a law over the brackets, with non-negative standard errors, for any pair of opinions."""
    market = ladder_probabilities(STRIKES, mu_market, sigma_market)
    estimate = Estimate(mu, sigma, 0.0, 100, sigma / 39**0.5, sigma / 240**0.5)
    pooled = pool_ladder(STRIKES, estimate, market, weight)
    assert sum(pooled.pooled) == pytest.approx(1.0, abs=1e-9)
    assert all(error >= 0.0 for error in pooled.std_error)


def test_standard_error_of_the_model_alone_matches_the_delta_method():
    """P(T < 70) at mu 73, sigma 2.4: dP/dmu = -phi(z)/sigma, dP/dsigma = -z phi(z)/sigma, z = -3.5/2.4."""
    mu, sigma = 73.0, 2.4
    se_mu, se_sigma = sigma / 39**0.5, sigma / 240**0.5
    pooled = pool_ladder(STRIKES, Estimate(mu, sigma, 0.0, 200, se_mu, se_sigma), (1 / 6,) * 6, 1.0)
    z = (69.5 - mu) / sigma
    slope = normal_pdf(z) / sigma
    assert pooled.std_error[0] == pytest.approx(
        ((slope * se_mu) ** 2 + (slope * z * se_sigma) ** 2) ** 0.5, rel=0.02
    )
    assert pooled.pooled == pytest.approx(pooled.model)
