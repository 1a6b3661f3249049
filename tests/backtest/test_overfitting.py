"""PBO, walk-forward and purged cross-validation: known cases, and no learning from the judged."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.overfitting import probability_of_overfitting
from backtest.validation import EMBARGO, Bet, Span, judged_bets, purged_folds, training_bets, walk_forward
from src.core.units import DAY, HOUR


def noise(seed: int, periods: int = 320, configurations: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 1.0, (periods, configurations))


def test_the_choice_among_noise_is_overfit_half_the_time() -> None:
    found = [probability_of_overfitting(noise(seed), 8) for seed in range(20)]
    assert all(one is not None and one.splits == 70 for one in found)
    assert np.mean([one.pbo for one in found if one is not None]) == pytest.approx(0.5, abs=0.12)


def test_sixteen_blocks_make_all_12870_splits() -> None:
    found = probability_of_overfitting(noise(1))
    assert found is not None
    assert (found.splits, found.blocks) == (12_870, 16)


def test_a_configuration_that_is_truly_better_is_not_overfit() -> None:
    returns = noise(3)
    returns[:, 4] += 0.5
    found = probability_of_overfitting(returns)
    assert found is not None
    assert found.pbo == 0.0
    assert found.loss == 0.0
    assert found.logits > 2


def test_a_best_in_sample_that_always_fails_outside_has_a_pbo_of_one() -> None:
    """Each configuration is best in one block and bad in the others: who shines inside is dull outside."""
    returns = np.full((64, 4), -0.01)
    for block in range(4):
        returns[block * 16 : block * 16 + 16, block] = 1.0
    returns += np.random.default_rng(0).normal(0, 1e-3, returns.shape)
    found = probability_of_overfitting(returns, 4)
    assert found is not None
    assert found.pbo == 1.0


def test_nothing_to_choose_between_has_no_pbo() -> None:
    assert probability_of_overfitting(noise(1)[:, :1]) is None
    assert probability_of_overfitting(np.repeat(noise(1)[:, :1], 3, axis=1)) is None
    assert probability_of_overfitting(noise(1, periods=20)) is None
    with pytest.raises(ValueError, match="even"):
        probability_of_overfitting(noise(1), 7)


def daily_bets(days: int, hold_days: float = 1.5, per_day: int = 2) -> list[Bet]:
    return [
        Bet(f"d{n:04d}", n * DAY + k * HOUR, int((n + hold_days) * DAY), 1.0)
        for n in range(days)
        for k in range(per_day)
    ]


def test_ten_groups_by_two_make_45_splits_and_9_paths_that_cover_everything() -> None:
    bets = daily_bets(100)
    folds = purged_folds(bets)
    assert folds is not None
    assert (len(folds.splits), len(folds.paths)) == (45, 9)
    for path in folds.paths:
        assert all(group in folds.splits[split] for group, split in enumerate(path))
    used = Counter((split, group) for path in folds.paths for group, split in enumerate(path))
    assert set(used.values()) == {1}
    assert len(used) == 90


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 9)),
        min_size=30,
        max_size=80,
        unique_by=lambda row: row[0],
    ),
    st.integers(0, 44),
)
def test_nothing_learned_was_open_while_a_judged_bet_was(rows: list[tuple[int, int]], split: int) -> None:
    """Purge and embargo: no training bet overlaps a judged span, none begins within two days after."""
    bets = [Bet(f"c{start}", start * DAY, (start + hold) * DAY, 1.0) for start, hold in rows]
    folds = purged_folds(bets)
    assert folds is not None
    learned = folds.train(bets, split)
    for group in folds.splits[split]:
        span = folds.spans[group]
        for bet in learned:
            assert bet.settled < span.start or bet.opened > span.end + EMBARGO
        for judged in folds.test(bets, group):
            assert judged not in learned


def test_the_bets_of_a_cluster_stay_together() -> None:
    folds = purged_folds(daily_bets(40, per_day=3))
    assert folds is not None
    assert sorted(Counter(folds.group_of.values()).values()) == [4] * 10
    assert purged_folds(daily_bets(9)) is None


def test_walk_forward_waits_for_a_year_or_five_hundred_events() -> None:
    by_year = walk_forward(0, 500 * DAY, [n * DAY for n in range(400)])
    assert by_year[0].test.start == 367 * DAY
    by_events = walk_forward(0, 500 * DAY, [n * DAY // 2 for n in range(800)])
    assert by_events[0].test.start == 499 * DAY // 2 + EMBARGO
    assert by_events[1].test.start - by_events[0].test.start == 30 * DAY
    assert walk_forward(0, 300 * DAY, []) == []


def test_walk_forward_learns_only_from_what_is_settled_and_judges_each_day_once() -> None:
    bets = daily_bets(500)
    windows = walk_forward(0, 500 * DAY, [])
    judged = [bet for window in windows for bet in judged_bets(bets, window)]
    assert len(judged) == len({(b.cluster, b.opened) for b in judged})
    for window in windows:
        assert max(bet.settled for bet in training_bets(bets, window)) <= window.test.start - EMBARGO
        assert not set(training_bets(bets, window)) & set(judged_bets(bets, window))


def test_a_span_knows_what_was_open_in_it() -> None:
    span = Span(10, 20)
    assert span.overlaps(Bet("a", 5, 10, 0.0))
    assert not span.overlaps(Bet("a", 5, 9, 0.0))
    assert not span.overlaps(Bet("a", 21, 30, 0.0))
    assert span.overlaps(Bet("a", 21, 30, 0.0), embargo=1)
