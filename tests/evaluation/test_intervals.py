import time

import numpy as np
import pytest
from scipy import stats

from slate.errors import DataError
from slate.evaluation.intervals import (
    detectable_loss,
    group_difference,
    mean_estimates,
    paired_difference,
    resampled_means,
)


def test_limits_agree_with_scipy_bca():
    values = np.random.default_rng(4).exponential(size=80)
    mine = mean_estimates(values[:, None], resamples=20_000, seed=2)[0]
    theirs = stats.bootstrap(
        (values,), np.mean, method="BCa", n_resamples=20_000, rng=np.random.default_rng(9)
    ).confidence_interval
    spread = theirs.high - theirs.low
    assert mine.low == pytest.approx(theirs.low, abs=0.03 * spread)
    assert mine.high == pytest.approx(theirs.high, abs=0.03 * spread)


def test_one_sided_bounds_agree_with_scipy_and_lie_inside_the_two_sided():
    rng = np.random.default_rng(5)
    champion = rng.exponential(size=120)
    challenger = champion + rng.normal(0.05, 0.3, 120)
    mine = paired_difference(challenger, champion, resamples=20_000, seed=3)
    theirs = stats.bootstrap(
        (challenger - champion,),
        np.mean,
        confidence_level=0.9,
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    spread = theirs.high - theirs.low
    assert mine.lower == pytest.approx(theirs.low, abs=0.03 * spread)
    assert mine.upper == pytest.approx(theirs.high, abs=0.03 * spread)
    assert mine.low < mine.lower < mine.value < mine.upper < mine.high


def test_relative_limits_agree_with_scipy_bca_of_the_ratio():
    rng = np.random.default_rng(6)
    champion = rng.exponential(size=100)
    challenger = 1.1 * champion + rng.normal(0, 0.2, 100)
    mine = paired_difference(challenger, champion, resamples=20_000, seed=3)
    theirs = stats.bootstrap(
        (challenger, champion),
        lambda a, b, axis=-1: a.mean(axis) / b.mean(axis) - 1,
        paired=True,
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    spread = theirs.high - theirs.low
    assert mine.relative == pytest.approx(challenger.mean() / champion.mean() - 1)
    assert mine.relative_low == pytest.approx(theirs.low, abs=0.04 * spread)
    assert mine.relative_high == pytest.approx(theirs.high, abs=0.04 * spread)


def test_bounds_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(11)
    runs, inside, below = 300, 0, 0
    for run in range(runs):
        # Three users of four score 0 with both; the true difference is 0.025.
        hit = rng.random(150) < 0.25
        challenger = np.where(hit, rng.random(150) + 0.1, 0.0)
        champion = np.where(hit, rng.random(150), 0.0)
        found = paired_difference(challenger, champion, resamples=400, seed=run)
        inside += found.low <= 0.025 <= found.high
        below += found.upper < 0.025
    assert 0.91 <= inside / runs <= 0.985
    assert below / runs <= 0.09


def test_the_detectable_loss_is_found_four_times_out_of_five():
    rng = np.random.default_rng(12)
    loss = detectable_loss(rng.normal(0, 0.3, 200))
    refused = [
        paired_difference(rng.normal(-loss, 0.3, 200), np.zeros(200), resamples=200, seed=s).upper < 0
        for s in range(250)
    ]
    assert 0.70 <= np.mean(refused) <= 0.90


def test_same_seed_same_numbers_and_columns_are_paired():
    values = np.random.default_rng(1).random((40, 3))
    first = mean_estimates(values, 500, seed=7)
    assert first == mean_estimates(values, 500, seed=7)
    assert first != mean_estimates(values, 500, seed=8)
    assert first[1] == mean_estimates(values[:, [1]], 500, seed=7)[0]
    draws = resampled_means(np.stack([values[:, 0], 2 * values[:, 0]], axis=1), 100, seed=1)
    np.testing.assert_allclose(draws[:, 1], 2 * draws[:, 0])


def test_equal_rankers_differ_by_exactly_nothing():
    values = np.random.default_rng(1).random(30)
    found = paired_difference(values, values.copy())
    assert (found.value, found.low, found.high, found.lower, found.upper, found.detectable) == (0,) * 6
    assert (found.relative, found.relative_low, found.relative_high) == (0, 0, 0)


def test_a_reference_of_zero_has_no_relative_difference():
    found = paired_difference(np.array([0.1, 0.0, 0.3]), np.zeros(3))
    assert found.value == pytest.approx(0.4 / 3)
    assert found.relative is found.relative_low is found.detectable_relative is None


def test_one_user_has_no_interval():
    found = paired_difference(np.array([0.4]), np.array([0.2]))
    assert (found.value, found.relative) == (pytest.approx(0.2), pytest.approx(1.0))
    assert found.low is found.upper is found.detectable is None
    assert mean_estimates(np.array([[0.4]]))[0].low is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad):
    with pytest.raises(DataError, match="1 of 2 are not finite"):
        mean_estimates(np.array([[0.1], [bad]]))
    with pytest.raises(DataError, match="1 of 4 are not finite"):
        paired_difference(np.array([0.1, bad]), np.array([0.1, 0.2]))


def test_no_users_and_unequal_users_are_refused():
    with pytest.raises(DataError, match="no users"):
        mean_estimates(np.empty((0, 2)))
    with pytest.raises(DataError, match="the same users"):
        paired_difference(np.zeros(3), np.zeros(4))


def test_a_thousand_resamples_of_ten_thousand_users_take_seconds():
    values = np.random.default_rng(0).random((10_000, 12))
    started = time.monotonic()
    resampled_means(values, 1000, seed=1)
    assert time.monotonic() - started < 5


def test_limits_of_two_groups_agree_with_scipy_bca():
    rng = np.random.default_rng(8)
    # Sorted and of one size: were they drawn in pairs, the difference would hardly vary.
    group, rest = np.sort(rng.random(25)), np.sort(rng.exponential(size=25) ** 1.5)
    mine = group_difference(group, rest, resamples=20_000, seed=3)
    theirs = stats.bootstrap(
        (group, rest),
        lambda a, b, axis=-1: a.mean(axis) - b.mean(axis),
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    spread = theirs.high - theirs.low
    assert mine.low == pytest.approx(theirs.low, abs=0.04 * spread)
    assert mine.high == pytest.approx(theirs.high, abs=0.04 * spread)
    assert mine.low < mine.lower < mine.value < mine.upper < mine.high
    assert (mine.users, mine.others) == (25, 25)


def test_gaps_between_groups_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(12)
    runs, inside, below = 300, 0, 0
    for run in range(runs):
        # A quarter of 60 users finds something, and a half of 60 others: groups of one size.
        group, rest = (np.where(rng.random(60) < rate, rng.random(60), 0.0) for rate in (0.25, 0.5))
        found = group_difference(group, rest, resamples=400, seed=run)
        inside += found.low <= -0.125 <= found.high
        below += found.upper < -0.125
    assert 0.91 <= inside / runs <= 0.985
    assert below / runs <= 0.09


def test_a_group_of_one_has_a_gap_without_an_interval():
    found = group_difference(np.array([0.5]), np.array([0.0, 0.0]))
    assert (found.value, found.low, found.upper, found.relative) == (0.5, None, None, None)
    with pytest.raises(DataError, match="group: no users"):
        group_difference(np.array([]), np.array([0.5]))
