"""Confidence sequences against the formulas' own words, an independent library, and simulated looks."""

import math

import numpy as np
import pytest
import tea_tasting as tt
from hypothesis import given
from hypothesis import strategies as st
from tea_tasting.aggr import Aggregates

from slate.rollout.judge.cuped import adjusted, pair
from slate.rollout.judge.ratio import log_bayes_factor, log_bayes_factors
from slate.rollout.judge.sequences import Estimate, Sample, bounds, difference, factor, mean, sample, tuning


def test_a_bound_by_hand() -> None:
    found = difference(Sample(100, 2.0, 4.0), Sample(100, 2.5, 4.0))
    assert (found.value, found.size) == (0.5, 50.0)
    assert found.variance == pytest.approx(0.08)
    square = (-2 * math.log(0.05) + math.log(1 - 2 * math.log(0.05))) / 50
    assert tuning(50, 0.05) ** 2 == pytest.approx(square)
    scaled = 50 * square + 1
    half = math.sqrt(0.08) * math.sqrt(2 * scaled / (scaled - 1) * math.log(1 + math.sqrt(scaled) / 0.05))
    assert bounds(found, 0.025, 50) == pytest.approx((0.5 - half, 0.5 + half))


def test_intervals_are_narrowest_about_where_they_should_be() -> None:
    sizes = np.arange(10.0, 2000.0)
    widths = factor(sizes, 0.025, 200) / np.sqrt(sizes)
    others = [factor(200, 0.025, tuned) for tuned in (50, 100, 400, 800)]
    assert factor(200, 0.025, 200) < min(others)
    assert (np.diff(widths) < 0).all()


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("variance", [math.nan, 0.0, -1.0])
def test_what_is_no_number_has_no_bounds(value: float, variance: float) -> None:
    found = bounds(Estimate(value, variance, 100.0), 0.05, 100)
    assert not any(math.isfinite(each) for each in found)


def test_nobody_has_no_bounds() -> None:
    for few in ([], [1.0]):
        assert math.isnan(bounds(mean(sample(few)), 0.05, 100).low)
        assert math.isnan(bounds(difference(sample(few), sample([1.0, 2.0])), 0.05, 100).high)


@given(st.floats(0.001, 0.2), st.floats(2, 1e6), st.floats(10, 1e5))
def test_no_sequence_is_narrower_than_a_single_look(alpha: float, size: float, sharpest_at: float) -> None:
    from statistics import NormalDist

    assert factor(size, alpha, sharpest_at) > NormalDist().inv_cdf(1 - alpha)


def test_looking_a_hundred_times_errs_less_than_alpha_where_a_fixed_test_errs_often() -> None:
    rng = np.random.default_rng(1)
    values = rng.gamma(0.5, 2.0, (2, 400, 100, 50)) * (rng.random((2, 400, 100, 50)) < 0.4)
    count = np.arange(1, 101) * 50.0
    total, square = values.sum(3).cumsum(2), (values**2).sum(3).cumsum(2)
    arms = [
        Sample(count, s / count, (q - s * s / count) / (count - 1))
        for s, q in zip(total, square, strict=True)
    ]
    found = difference(*arms)
    low, high = bounds(found, 0.025, 1000)
    wrong = ((low > 0) | (high < 0))[:, 3:].any(1).mean()
    peeked = (np.abs(found.value) > 1.96 * np.sqrt(found.variance))[:, 3:].any(1).mean()
    assert wrong <= 0.05 < 0.2 < peeked


def test_differences_and_cuped_are_those_of_tea_tasting() -> None:
    rng = np.random.default_rng(2)
    before = [rng.gamma(2, 1, 900), rng.gamma(2, 1, 300)]
    after = [x * 0.7 + rng.gamma(1, 1 + 0.2 * lift, x.size) for lift, x in enumerate(before)]
    control, treatment = (
        Aggregates(
            count_=y.size,
            mean_={"y": y.mean(), "x": x.mean()},
            var_={"y": y.var(ddof=1), "x": x.var(ddof=1)},
            cov_={("x", "y"): float(np.cov(x, y)[0, 1])},
        )
        for x, y in zip(before, after, strict=True)
    )
    arms = [pair(y, x) for x, y in zip(before, after, strict=True)]
    plain = tt.Mean("y", use_t=False).analyze_aggregates(control, treatment)
    found = difference(arms[0].plain, arms[1].plain)
    assert found.value == pytest.approx(plain.effect_size)
    half = (plain.effect_size_ci_upper - plain.effect_size_ci_lower) / 2
    assert math.sqrt(found.variance) * 1.959963984540054 == pytest.approx(half)

    theirs = tt.Mean("y", "x", use_t=False).analyze_aggregates(control, treatment)
    ours = difference(*adjusted(*arms))
    # They take the variance over both arms together for the coefficient; we pool it within the arms.
    assert ours.value == pytest.approx(theirs.effect_size, rel=0.01)
    half = (theirs.effect_size_ci_upper - theirs.effect_size_ci_lower) / 2
    assert math.sqrt(ours.variance) * 1.959963984540054 == pytest.approx(half, rel=0.01)
    assert ours.variance < 0.75 * found.variance


def test_cuped_changes_nothing_without_a_covariate() -> None:
    stable, candidate = pair([1.0, 2.0, 4.0], [0.0, 0.0, 0.0]), pair([2.0, 5.0], [0.0, 0.0])
    assert adjusted(stable, candidate) == (stable.plain, candidate.plain)


def test_cuped_takes_out_a_difference_that_was_there_before() -> None:
    stable, candidate = pair([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), pair([2.0, 3.0, 4.0], [2.0, 3.0, 4.0])
    found = difference(*adjusted(stable, candidate))
    assert found.value == pytest.approx(0.0)


@given(st.integers(0, 400), st.integers(0, 400), st.floats(0.01, 0.9))
def test_the_bayes_factor_is_a_martingale(stable: int, candidate: int, share: float) -> None:
    now = log_bayes_factor(stable, candidate, share, 50)
    after = [log_bayes_factor(stable + 1 - side, candidate + side, share, 50) for side in (0, 1)]
    expected = (1 - share) * math.exp(after[0] - now) + share * math.exp(after[1] - now)
    assert expected == pytest.approx(1.0, rel=1e-8)


def test_the_ratio_test_keeps_quiet_and_finds_a_loss() -> None:
    rng = np.random.default_rng(3)
    alarms = []
    for lost in (0.0, 0.02):
        came = rng.binomial(10_000, 0.5, (400, 20))
        kept = rng.binomial(came, 1 - lost)
        found = log_bayes_factors((10_000 - came).cumsum(1), kept.cumsum(1), 0.5)
        alarms.append(float((found >= math.log(100)).any(1).mean()))
    assert alarms[0] <= 0.01
    assert alarms[1] >= 0.8
