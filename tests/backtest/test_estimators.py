"""The statistics against the reference vectors of the science notes, and against cases with known answers."""

from __future__ import annotations

import json
from random import Random

import pytest

from backtest.estimators import (
    brier,
    clustered_bootstrap,
    dsr,
    expected_best_sharpe,
    minimum_track_record,
    moments,
    psr,
    reliability,
    slope,
    wilson,
)
from tests.backtest.conftest import SHARED


@pytest.fixture(scope="module")
def vectors() -> dict[str, dict[str, float]]:
    path = SHARED / "science_vectors.json"
    if not path.is_file():
        pytest.skip("science_vectors.json is not here")
    found: dict[str, dict[str, float]] = json.loads(path.read_text())
    return found


def test_z1_deflated_sharpe(vectors: dict[str, dict[str, float]]) -> None:
    assert expected_best_sharpe(0.0025, 40) == pytest.approx(vectors["Z1"]["SR0"], abs=1e-6)
    assert dsr(0.12, 0.0025, 40, 250, -0.6, 5.0) == pytest.approx(vectors["Z1"]["DSR"], abs=1e-6)


def test_z2_probabilistic_sharpe(vectors: dict[str, dict[str, float]]) -> None:
    assert psr(0.12, 0.0, 250, -0.6, 5.0) == pytest.approx(vectors["Z2"]["PSR"], abs=1e-6)


def test_z3_minimum_track_record(vectors: dict[str, dict[str, float]]) -> None:
    assert minimum_track_record(0.12, -0.6, 5.0) == pytest.approx(vectors["Z3"]["minTRL"], abs=1e-5)


def test_a_losing_record_is_never_long_enough() -> None:
    assert minimum_track_record(-0.1, 0.0, 3.0) is None


def test_kurtosis_is_raw_so_a_normal_sample_is_near_three() -> None:
    rng = Random(1)
    found = moments([rng.gauss(0, 1) for _ in range(20_000)])
    assert found.kurtosis == pytest.approx(3.0, abs=0.15)
    assert found.skew == pytest.approx(0.0, abs=0.06)
    assert found.autocorrelation == pytest.approx(0.0, abs=0.03)


def test_no_variation_has_no_sharpe_ratio() -> None:
    assert moments([0.0] * 30).sharpe is None
    assert moments([]).sharpe is None


def test_the_interval_grows_when_bets_share_their_fate() -> None:
    rng = Random(5)
    fates = [rng.gauss(0, 1) for _ in range(40)]
    together = {f"e{n}": [(fate, 1.0)] * 5 for n, fate in enumerate(fates)}
    apart = {f"e{n}-{k}": [(rng.gauss(0, 1), 1.0)] for n in range(40) for k in range(5)}
    wide, narrow = clustered_bootstrap(together, 1, 2_000), clustered_bootstrap(apart, 1, 2_000)
    assert wide is not None
    assert narrow is not None
    assert wide.per_bet.high - wide.per_bet.low > 1.6 * (narrow.per_bet.high - narrow.per_bet.low)


def test_the_bootstrap_is_repeatable_and_brackets_its_value() -> None:
    data = {f"e{n}": [(float(n % 7) - 3, 2.0)] for n in range(50)}
    first, second = clustered_bootstrap(data, 9, 1_000), clustered_bootstrap(data, 9, 1_000)
    assert first == second
    assert first is not None
    assert first.total.low <= first.total.value <= first.total.high
    assert first.roi.value == pytest.approx(first.total.value / 100)


def test_nothing_to_resample_gives_nothing() -> None:
    assert clustered_bootstrap({}) is None


def test_wilson_stays_inside_zero_and_one() -> None:
    low, high = wilson(0, 10)
    assert low == pytest.approx(0.0, abs=1e-12)
    assert high == pytest.approx(0.2775, abs=1e-3)


def test_reliability_counts_every_pair_once_and_puts_one_in_the_last_bin() -> None:
    table = reliability([(0.05, False), (0.07, True), (0.95, True), (1.0, True)])
    assert [row.n for row in table] == [2, 2]
    assert table[0].came == 0.5
    assert table[1].came == 1.0


def test_brier_and_slope_of_known_cases() -> None:
    assert brier([(0.8, True), (0.4, False)]) == pytest.approx((0.04 + 0.16) / 2)
    assert brier([]) is None
    assert slope([(0.0, 1.0, 1.0), (1.0, 3.0, 2.0), (2.0, 5.0, 1.0)]) == pytest.approx(2.0)
    assert slope([(0.5, 1.0, 1.0), (0.5, 2.0, 1.0)]) is None
