"""Normal distribution, brackets, pooling and scores against published numbers."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.errors import WireError
from src.core.market import Strike, StrikeKind
from src.core.probability import (
    bracket_probability,
    expit,
    logit,
    normal_cdf,
    normal_crps,
    normal_pdf,
    normal_quantile,
    pool,
    pool_binary,
    sigma_from_mae,
)

MU, SIGMA = 74.3, 2.4
LADDER = [
    Strike(StrikeKind.LESS, cap=70),
    *(Strike(StrikeKind.BETWEEN, floor=low, cap=low + 1) for low in (70, 72, 74, 76)),
    Strike(StrikeKind.GREATER, floor=77),
]


@pytest.mark.parametrize(
    ("strike", "expected"),
    [
        (Strike(StrikeKind.BETWEEN, floor=74, cap=75), 0.322021),
        (Strike(StrikeKind.GREATER, floor=77), 0.091211),
        (Strike(StrikeKind.LESS, cap=72), 0.121673),
    ],
)
def test_bracket_vectors(strike: Strike, expected: float) -> None:
    assert bracket_probability(strike, MU, SIGMA) == pytest.approx(expected, abs=5e-7)


def test_crps_spread_and_pool_vectors() -> None:
    assert normal_crps(MU, SIGMA, 76) == pytest.approx(1.022139, abs=5e-7)
    assert sigma_from_mae(1.83) == pytest.approx(2.293565, abs=5e-7)
    assert pool_binary(0.72, 0.55, 0.6) == pytest.approx(0.656322, abs=5e-7)
    assert expit(logit(0.40) + math.log(6)) == pytest.approx(0.8, abs=1e-12)


def test_published_vectors() -> None:
    """The same from the research file itself."""
    path = Path(__file__).resolve().parents[3] / "shared" / "science" / "science_vectors.json"
    if not path.exists():
        pytest.skip(f"research vectors not present at {path}")
    vectors = json.loads(path.read_text())
    computed = {
        "W1": bracket_probability(Strike(StrikeKind.BETWEEN, 74, 75), MU, SIGMA),
        "W2": bracket_probability(Strike(StrikeKind.GREATER, floor=77), MU, SIGMA),
        "W3": bracket_probability(Strike(StrikeKind.LESS, cap=72), MU, SIGMA),
        "N1": expit(logit(0.40) + math.log(6)),
        "N3": pool_binary(0.72, 0.55, 0.6),
        "C1": expit(1.2 * logit(0.70)),
    }
    for name, value in computed.items():
        assert value == pytest.approx(vectors[name]["p"], abs=5e-7), name
    assert normal_crps(MU, SIGMA, 76) == pytest.approx(vectors["W8"]["crps"], abs=5e-7)
    assert sigma_from_mae(1.83) == pytest.approx(vectors["W9"]["sigma"], abs=5e-7)


@given(st.floats(-200, 200), st.floats(0.05, 50))
def test_a_ladder_that_tiles_the_integers_sums_to_one(mu: float, sigma: float) -> None:
    total = math.fsum(bracket_probability(strike, mu, sigma) for strike in LADDER)
    assert total == pytest.approx(1.0, abs=1e-12)


def test_far_brackets_keep_their_digits_on_both_sides() -> None:
    """Mirror-image brackets twelve sigma out have the same tiny probability, not zero and not noise."""
    above = bracket_probability(Strike(StrikeKind.BETWEEN, 12, 13), 0.0, 1.0)
    below = bracket_probability(Strike(StrikeKind.BETWEEN, -13, -12), 0.0, 1.0)
    assert above == pytest.approx(below, rel=1e-12)
    assert 0.0 < above < 1e-29


@pytest.mark.parametrize(
    ("strike", "field"),
    [
        (Strike(StrikeKind.LESS, floor=70), "cap_strike"),
        (Strike(StrikeKind.GREATER, cap=70), "floor_strike"),
        (Strike(StrikeKind.BETWEEN, floor=70), "cap_strike"),
        (Strike(StrikeKind.BETWEEN, floor=75, cap=74), "cap_strike"),
        (Strike(StrikeKind.OTHER, floor=75, cap=74), "strike_type"),
    ],
)
def test_a_strike_without_its_edges_is_refused_by_field(strike: Strike, field: str) -> None:
    with pytest.raises(WireError, match=field):
        bracket_probability(strike, MU, SIGMA)


@pytest.mark.parametrize(("mu", "sigma"), [(74.3, 0.0), (74.3, -1.0), (math.nan, 1.0), (74.3, math.inf)])
def test_a_forecast_without_a_proper_spread_is_refused(mu: float, sigma: float) -> None:
    with pytest.raises(ValueError, match="mu, sigma"):
        bracket_probability(LADDER[0], mu, sigma)


@pytest.mark.parametrize(
    ("x", "p"),
    [(0.0, 0.5), (1.0, 0.8413447460685429), (-1.959963984540054, 0.025), (-10.0, 7.619853024160527e-24)],
)
def test_normal_distribution_reference_values(x: float, p: float) -> None:
    assert normal_cdf(x) == pytest.approx(p, rel=1e-13)
    assert normal_quantile(p) == pytest.approx(x, abs=1e-12)


@given(st.floats(1e-300, 1.0, exclude_max=True))
def test_quantile_inverts_the_distribution(p: float) -> None:
    assert normal_cdf(normal_quantile(p)) == pytest.approx(p, rel=1e-11)


def test_quantile_rises_and_is_symmetric() -> None:
    grid = [i / 1000 for i in range(1, 1000)]
    values = [normal_quantile(p) for p in grid]
    assert all(a < b for a, b in pairwise(values))
    assert normal_quantile(0.9) == pytest.approx(-normal_quantile(0.1), abs=1e-15)


def test_density_is_the_slope_of_the_distribution() -> None:
    for x in (-2.5, 0.0, 1.3):
        assert (normal_cdf(x + 1e-5) - normal_cdf(x - 1e-5)) / 2e-5 == pytest.approx(normal_pdf(x), rel=1e-8)


@given(st.floats(1e-12, 1 - 1e-12))
def test_log_odds_round_trip(p: float) -> None:
    assert expit(logit(p)) == pytest.approx(p, rel=1e-9)


def test_log_odds_and_quantiles_of_certainties_are_refused_and_expit_never_overflows() -> None:
    for p in (0.0, 1.0, -0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"^p: "):
            logit(p)
        with pytest.raises(ValueError, match=r"^p: "):
            normal_quantile(p)
    assert (expit(-1e6), expit(1e6)) == (0.0, 1.0)


opinions = st.lists(st.tuples(st.floats(1e-6, 1), st.floats(1e-6, 1)), min_size=2, max_size=8)


@given(opinions, st.floats(0, 1))
def test_a_pool_is_a_distribution_between_its_opinions(
    pairs: list[tuple[float, float]], weight: float
) -> None:
    p, q = [a for a, _ in pairs], [b for _, b in pairs]
    pooled = pool(p, q, weight)
    assert math.fsum(pooled) == pytest.approx(1.0, abs=1e-12)
    assert pool(p, q, 1.0) == pytest.approx([x / math.fsum(p) for x in p])
    assert pool(p, q, 0.0) == pytest.approx([x / math.fsum(q) for x in q])


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999), st.floats(0, 1))
def test_binary_pool_is_the_weighted_mean_of_log_odds(p: float, q: float, weight: float) -> None:
    expected = expit(weight * logit(p) + (1 - weight) * logit(q))
    assert pool_binary(p, q, weight) == pytest.approx(expected, rel=1e-9)


def test_an_outcome_either_opinion_rules_out_stays_ruled_out() -> None:
    assert pool((0.0, 0.5, 0.5), (0.4, 0.3, 0.3), 0.3) == pytest.approx((0.0, 0.5, 0.5))


@pytest.mark.parametrize(
    ("p", "q", "weight", "field"),
    [
        ((0.5,), (0.5, 0.5), 0.3, "q_market"),
        ((), (), 0.3, "q_market"),
        ((0.5, 0.5), (0.5, 0.5), 1.1, "weight"),
        ((0.5, 0.5), (0.5, 0.5), math.nan, "weight"),
        ((0.5, 1.5), (0.5, 0.5), 0.3, "p_model"),
        ((0.5, 0.5), (0.5, math.nan), 0.3, "q_market"),
        ((0.0, 1.0), (1.0, 0.0), 0.3, "every outcome probability 0"),
    ],
)
def test_pools_of_bad_opinions_are_refused_by_field(
    p: tuple[float, ...], q: tuple[float, ...], weight: float, field: str
) -> None:
    with pytest.raises(ValueError, match=field):
        pool(p, q, weight)


def test_crps_needs_a_positive_spread_and_is_least_at_the_outcome() -> None:
    with pytest.raises(ValueError, match="sigma"):
        normal_crps(70, 0, 70)
    assert normal_crps(70, 2, 70) < normal_crps(70, 2, 71) < normal_crps(70, 2, 75)
