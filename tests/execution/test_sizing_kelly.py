"""Kelly arithmetic against the research vectors, as literals and from the research file itself."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.fees import FeeSchedule, FeeType
from src.execution.kelly import (
    all_in_cost,
    contracts_to_sell,
    contracts_with_holding,
    growth,
    joint_kelly_yes,
    kelly_fraction,
    net_proceeds,
    shrink,
    target_contracts,
)

STANDARD = FeeSchedule()
FREE = FeeSchedule(multiplier_e4=0)
MAKER = FeeSchedule(FeeType.QUADRATIC_WITH_MAKER_FEES)
WEALTH, QUARTER = 1000.0, 0.25

# id: q of the side bought, its price (1e-4), fees, taker?, c, f*, L*n*, whole contracts, G(f*), G(L f*).
KELLY = {
    "K1": (0.60, 5000, STANDARD, True, 0.517500, 0.170984, 82.601186, 82, 0.013746, 0.005974),
    "K2": (0.55, 5000, STANDARD, True, 0.517500, 0.067358, 32.539861, 32, 0.002120, 0.000926),
    "K3": (0.12, 800, STANDARD, True, 0.085152, 0.038092, 111.834055, 111, 0.006991, 0.003269),
    "K4": (0.95, 9200, STANDARD, True, 0.925152, 0.331979, 89.709442, 89, 0.005007, 0.002025),
    "K5": (0.70, 6200, STANDARD, True, 0.636492, 0.174709, 68.621708, 68, 0.008970, 0.003849),
    "K6": (0.96, 9300, STANDARD, True, 0.934557, 0.388781, 104.001435, 104, 0.006094, 0.002422),
    "K7": (0.52, 5100, STANDARD, True, 0.527493, -0.015858, 0.0, 0, 0.0, 0.0),
    "K8": (0.60, 5000, FREE, True, 0.500000, 0.200000, 100.0, 100, 0.020136, 0.008757),
    "K9": (0.35, 3000, MAKER, False, 0.303675, 0.066528, 54.768949, 54, 0.004943, 0.002198),
}


@pytest.mark.parametrize("name", KELLY)
def test_single_contract_vectors(name: str) -> None:
    q, price, fees, is_taker, c, full, contracts, whole, g_full, g_quarter = KELLY[name]
    cost = all_in_cost(price, fees, is_taker)
    assert cost == pytest.approx(c, abs=5e-7)
    assert kelly_fraction(q, cost) == pytest.approx(full, abs=5e-7)
    target = target_contracts(q, cost, WEALTH, QUARTER)
    assert target == pytest.approx(contracts, abs=5e-6)
    assert math.floor(target + 1e-9) == whole
    staked = max(0.0, kelly_fraction(q, cost))
    assert growth(q, cost, staked) == pytest.approx(g_full, abs=5e-7)
    assert growth(q, cost, QUARTER * staked) == pytest.approx(g_quarter, abs=5e-7)


def test_a_fraction_of_kelly_is_full_kelly_on_a_probability_drawn_to_the_cost() -> None:
    """Vector E1: quarter Kelly takes three quarters of the perceived edge for an illusion."""
    c = all_in_cost(5000, STANDARD)
    assert QUARTER * kelly_fraction(0.60, c) == pytest.approx(0.042746, abs=5e-7)
    assert kelly_fraction(QUARTER * 0.60 + (1 - QUARTER) * c, c) == pytest.approx(0.042746, abs=5e-7)


@pytest.mark.parametrize(("held", "expected"), [(100, 247.503191), (0, 330.404746), (400, -1.201472)])
def test_buying_on_top_of_a_holding(held: float, expected: float) -> None:
    """Vectors X1 to X3: what is held is bought less of; negative means no purchase."""
    c = all_in_cost(5000, STANDARD)
    assert contracts_with_holding(0.60, c, 1000, held) == pytest.approx(expected, abs=5e-6)


def test_selling_out_of_a_holding() -> None:
    """Vectors X4 and X5: more than is held is wanted sold (so all 400 go); a negative number means hold."""
    s = net_proceeds(5500, STANDARD)
    assert s == pytest.approx(0.532675, abs=5e-7)
    assert contracts_to_sell(0.50, s, 800, 400) == pytest.approx(532.976140, abs=5e-6)
    s = net_proceeds(4800, STANDARD)
    assert s == pytest.approx(0.462528, abs=5e-7)
    assert contracts_to_sell(0.60, s, 800, 400) == pytest.approx(-144.705232, abs=5e-6)


@pytest.mark.parametrize(
    ("q", "c", "sd", "k", "stake"),
    [
        (0.60, 0.5175, 0.05, 0.731363, 0.125052),
        (0.60, 0.5175, 0.10, 0.404983, 0.069246),
        (0.12, 0.085152, 0.03, 0.574344, 0.021878),
    ],
)
def test_estimation_error_shrinks_the_stake(q: float, c: float, sd: float, k: float, stake: float) -> None:
    assert shrink(q, c, sd) == pytest.approx(k, abs=5e-7)
    assert shrink(q, c, sd) * kelly_fraction(q, c) == pytest.approx(stake, abs=5e-7)


def test_without_an_edge_nothing_is_staked_however_sure_one_is() -> None:
    assert shrink(0.5, 0.5, 0.0) == 0.0
    assert shrink(0.4, 0.5, 0.01) == 0.0
    assert shrink(0.6, 0.5, 0.0) == 1.0


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(-0.2, 0.2))
def test_the_kelly_stake_grows_fastest(q: float, c: float, other: float) -> None:
    """No other stake beats f*: the formula is the optimum of expected log growth."""
    best = max(0.0, kelly_fraction(q, c))
    tried = min(max(0.0, best + other), 0.999)
    assert growth(q, c, tried) <= growth(q, c, min(best, 0.999)) + 1e-12


@pytest.mark.parametrize("c", [0.0, 1.0, 1.2, -0.1, math.nan])
def test_a_cost_outside_the_dollar_is_refused(c: float) -> None:
    with pytest.raises(ValueError, match=r"^c: "):
        kelly_fraction(0.5, c)


M1_P, M1_ASKS = (0.04, 0.17, 0.40, 0.30, 0.08, 0.01), (600, 2000, 3400, 2800, 1400, 500)
M3_P, M3_ASKS = (0.10, 0.55, 0.35), (1500, 4800, 3300)


def costs_of(asks: tuple[int, ...]) -> list[float]:
    return [all_in_cost(price, STANDARD) for price in asks]


def joint_growth(p: tuple[float, ...], costs: list[float], fractions: tuple[float, ...]) -> float:
    kept = 1.0 - math.fsum(fractions)
    winning = math.fsum(
        x * math.log(kept + f / c) for x, c, f in zip(p, costs, fractions, strict=True) if x > 0.0
    )
    return winning + (1.0 - math.fsum(p)) * math.log(kept) if math.fsum(p) < 1.0 - 1e-12 else winning


def test_joint_stakes_over_the_brackets_of_one_event() -> None:
    """Vectors M1 and M3, and M1's growth, which single-bracket sizing misses by a quarter."""
    costs = costs_of(M1_ASKS)
    stakes = joint_kelly_yes(M1_P, costs)
    assert stakes.reserve == pytest.approx(0.856702, abs=5e-7)
    assert stakes.fractions == pytest.approx((0, 0, 0.095264, 0.048034, 0, 0), abs=5e-7)
    contracts = [WEALTH * f / c for f, c in zip(stakes.fractions, costs, strict=True)]
    assert contracts == pytest.approx((0, 0, 267.815596, 163.317317, 0, 0), abs=5e-5)
    assert joint_growth(M1_P, costs, stakes.fractions) == pytest.approx(0.006489, abs=5e-7)
    stakes = joint_kelly_yes(M3_P, costs_of(M3_ASKS))
    assert stakes.reserve == pytest.approx(0.636736, abs=5e-7)
    assert stakes.fractions == pytest.approx((0, 0.233242, 0.130022), abs=5e-7)


def test_joint_stakes_of_one_bracket_are_plain_kelly() -> None:
    stakes = joint_kelly_yes((0.6, 0.0), (0.5175, 0.3))
    assert stakes.fractions == pytest.approx((kelly_fraction(0.6, 0.5175), 0.0))


weights = st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.01, 0.9)), min_size=2, max_size=6)


@given(weights, st.randoms(use_true_random=False))
def test_no_nearby_joint_stake_grows_faster(pairs: list[tuple[float, float]], rng: Any) -> None:
    total = math.fsum(weight for weight, _ in pairs)
    p = tuple(weight / total * 0.999 for weight, _ in pairs)
    costs = [cost for _, cost in pairs]
    stakes = joint_kelly_yes(p, costs)
    assert all(0.0 <= f < 1.0 for f in stakes.fractions)
    assert math.fsum(stakes.fractions) < 1.0
    best = joint_growth(p, costs, stakes.fractions)
    for _ in range(10):
        nearby = tuple(max(0.0, f + rng.uniform(-0.02, 0.02)) for f in stakes.fractions)
        if math.fsum(nearby) < 0.9999:
            assert joint_growth(p, costs, nearby) <= best + 1e-9


@pytest.mark.parametrize(
    ("p", "costs", "field"),
    [
        ((0.5, 0.6), (0.5, 0.5), "p"),
        ((-0.1, 0.6), (0.5, 0.5), "p"),
        ((math.nan, 0.6), (0.5, 0.5), "p"),
        ((0.5, 0.4), (0.5,), "costs"),
        ((0.5, 0.4), (0.5, 1.0), "costs"),
    ],
)
def test_joint_stakes_refuse_what_are_not_exclusive_outcomes(
    p: tuple[float, ...], costs: tuple[float, ...], field: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: "):
        joint_kelly_yes(p, costs)


def test_published_vectors() -> None:
    """Every Kelly vector of the research file, read from the file itself."""
    path = Path(__file__).resolve().parents[3] / "shared" / "science" / "science_vectors.json"
    if not path.exists():
        pytest.skip(f"research vectors not present at {path}")
    vectors = json.loads(path.read_text())
    near = pytest.approx
    for name in KELLY:
        v = vectors[name]
        fees = {0.07: STANDARD, 0.0: FREE, 0.0175: MAKER}[v["rate"]]
        c = all_in_cost(round(v["price"] * 10_000), fees, is_taker=v["rate"] != 0.0175)
        q = v["p_yes"] if v["side"] == "YES" else 1 - v["p_yes"]
        full = kelly_fraction(q, c)
        assert (c, q, q - c, full) == near((v["c"], v["q"], v["edge"], v["f_full"]), abs=5e-7), name
        quarter = target_contracts(q, c, v["W"], v["lam"])
        assert (target_contracts(q, c, v["W"], 1.0), quarter) == near((v["n_full"], v["n_lam"]), abs=5e-6)
        assert math.floor(quarter + 1e-9) == v["n_int"], name
        stakes = (max(0.0, full), max(0.0, v["lam"] * full))
        assert stakes[1] == near(v["f_lam"], abs=5e-7), name
        assert [growth(q, c, f) for f in stakes] == near([v["g_full"], v["g_lam"]], abs=5e-7), name
    c = all_in_cost(5000, STANDARD)
    assert 0.25 * kelly_fraction(0.6, c) == near(vectors["E1"]["lhs"], abs=5e-7)
    for name, held in (("X1", 100), ("X2", 0), ("X3", 400)):
        assert contracts_with_holding(0.6, c, 1000, held) == near(vectors[name]["n"], abs=5e-6), name
    for name, q, bid in (("X4", 0.50, 5500), ("X5", 0.60, 4800)):
        s = net_proceeds(bid, STANDARD)
        assert s == near(vectors[name]["s"], abs=5e-7), name
        assert contracts_to_sell(q, s, 800, 400) == near(vectors[name]["k"], abs=5e-6), name
    for name in ("S1", "S2", "S3"):
        v = vectors[name]
        k = shrink(v["p"], v["c"], v["sd"])
        assert (k, k * kelly_fraction(v["p"], v["c"])) == near((v["k"], v["f"]), abs=5e-7), name
    for name in ("M1", "M3"):
        v = vectors[name]
        joint = joint_kelly_yes(v["p"], [all_in_cost(round(a * 10_000), STANDARD) for a in v["asks"]])
        assert joint.reserve == near(v["R"], abs=5e-7), name
        assert joint.fractions == near(v["f"], abs=5e-7), name
        assert [i for i, f in enumerate(joint.fractions) if f > 0.0] == v["S"], name
