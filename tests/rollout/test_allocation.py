"""Shares by Thompson sampling: posteriors against other computations, and when a share may move."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from slate.config import RolloutConfig
from slate.rollout.allocation import (
    STEP,
    Posterior,
    allocate,
    first_threshold,
    posterior,
    probability_above,
)
from slate.rollout.judge.cuped import Pair, pair
from slate.rollout.judge.evidence import Arms, Step
from slate.rollout.judge.verdict import Check, Status

START = datetime(2026, 6, 1, tzinfo=UTC)
CONFIG = RolloutConfig(
    allocation="thompson",
    minimum_users=50,
    dwell_s=600,
    cuped=False,
    thompson={"minimum": 0.05, "every_s": 3600},
)
HERE = Step("r", STEP, 20.0, START, START, moved=START + timedelta(hours=1))
LATER = START + timedelta(hours=3)
FINE = [
    Check(name="p99", status=Status.PASSED, reason="fast"),
    Check(name="errors", status=Status.PASSED, reason=""),
]


def arms(
    stable: float = 1.0, candidate: float = 1.0, variance: float = 1.0, count: float = 400
) -> Arms[Pair]:
    def one(mean: float) -> Pair:
        return Pair(count, mean, variance, 0.0, 1.0, 0.0)

    return Arms(one(stable), one(candidate))


def test_a_posterior_by_hand() -> None:
    given_arms = Arms(pair([1.0, 3.0], [0.0, 0.0]), pair([2.0, 4.0, 6.0], [0.0, 0.0, 0.0]))
    # All five have the mean (2 * 2 + 3 * 4) / 5 = 3.2 and the variance (2 * 2 + 3 * 4) / 5 = 3.2.
    found = posterior(1, given_arms, CONFIG)
    assert found.freedom == 4
    assert found.centre == pytest.approx((3.2 + 3 * 4) / 4)
    spread = (3.2 + 2 * 4 + 3 / 4 * (4 - 3.2) ** 2) / 4
    assert found.scale == pytest.approx(math.sqrt(spread / 4))


def test_a_posterior_agrees_with_draws_from_its_definition() -> None:
    """The variance is drawn first, then the mean given it, as the prior says it."""
    rng = np.random.default_rng(1)
    values = rng.gamma(2.0, 1.0, 12)
    other = rng.gamma(2.0, 1.0, 30)
    both = Arms(pair(other, other * 0), pair(values, values * 0))
    found = posterior(1, both, CONFIG)
    centre = (other.sum() + values.sum()) / 42
    variance = (30 * other.var(ddof=1) + 12 * values.var(ddof=1)) / 42
    # Weigh draws of the prior by the likelihood of the values.
    sigma2 = variance / rng.chisquare(1, 400_000)
    mu = rng.normal(centre, np.sqrt(sigma2))
    logs = -len(values) / 2 * np.log(sigma2) - ((values[:, None] - mu) ** 2).sum(0) / 2 / sigma2
    weights = np.exp(logs - logs.max())
    mean = weights @ mu / weights.sum()
    assert found.centre == pytest.approx(mean, abs=0.03)
    expected = math.sqrt(weights @ (mu - mean) ** 2 / weights.sum())
    assert found.scale * math.sqrt(found.freedom / (found.freedom - 2)) == pytest.approx(expected, rel=0.1)


@given(st.floats(-3, 3), st.floats(0.01, 5), st.floats(5, 500), st.floats(0.01, 5), st.floats(5, 500))
@settings(max_examples=15, deadline=None)
def test_the_probability_agrees_with_quadrature(
    centre: float, ours: float, freedom: float, theirs: float, other: float
) -> None:
    found = probability_above(Posterior(centre, ours, freedom), Posterior(0.0, theirs, other))
    places = stats.t.ppf((np.arange(5000) + 0.5) / 5000, freedom, centre, ours)
    expected = stats.t.cdf(places, other, 0.0, theirs).mean()
    assert found == pytest.approx(expected, abs=2e-4)
    back = probability_above(Posterior(0.0, theirs, other), Posterior(centre, ours, freedom))
    assert found + back == pytest.approx(1.0, abs=1e-9)


def test_arms_of_no_variance_are_certain() -> None:
    certain = Posterior(1.0, 0.0, 5.0)
    assert probability_above(certain, certain) == 0.5
    assert probability_above(Posterior(2.0, 0.0, 5.0), certain) == 1.0
    assert probability_above(certain, Posterior(1.0, 0.5, 5.0)) == pytest.approx(0.5)


def test_nothing_known_is_the_smallest_share() -> None:
    assert first_threshold(CONFIG) == 500


@pytest.mark.parametrize(
    ("seen", "others", "when", "threshold"),
    [
        (arms(1.0, 2.0), FINE, LATER, 4000),  # Surely better, and never more than twice at once.
        (arms(2.0, 1.0), FINE, LATER, 500),
        (arms(1.0, 1.0), FINE, LATER, 4000),
        (arms(1.0, 2.0), FINE, START + timedelta(minutes=119), 2000),  # Not yet an hour since it moved.
        (arms(1.0, 2.0, count=49), FINE, LATER, 2000),
        (arms(1.0, math.nan), FINE, LATER, 2000),
        (arms(1.0, 2.0, variance=math.nan), FINE, LATER, 2000),
        (None, FINE, LATER, 2000),
        # What is not surely well does not rise, and falls all the same.
        (arms(1.0, 2.0), [*FINE, Check(name="x", status=Status.UNSURE, reason="few")], LATER, 2000),
        (arms(1.0, 2.0), [*FINE, Check(name="x", status=Status.MISSING, reason="gone")], LATER, 2000),
        (arms(2.0, 1.0), [*FINE, Check(name="x", status=Status.UNSURE, reason="few")], LATER, 500),
    ],
)  # fmt: skip
def test_where_the_share_goes(
    seen: Arms[Pair] | None, others: list[Check], when: datetime, threshold: int
) -> None:
    found = allocate(seen, others, HERE, CONFIG, when)
    assert found.threshold == threshold
    assert found.reason


def test_shares_follow_the_probability_where_it_is_near() -> None:
    half = replace(HERE, percent=50.0)
    assert allocate(arms(1.0, 2.0), FINE, half, CONFIG, LATER).threshold == 9500
    assert allocate(arms(1.0, 1.0), FINE, half, CONFIG, LATER).threshold == 5000
    unsure = allocate(arms(1.0, 1.05), FINE, half, CONFIG, LATER)
    assert unsure.better is not None
    assert 0.6 < unsure.better < 0.9
    assert unsure.threshold == round(10_000 * unsure.better)


def test_a_share_does_not_rise_before_the_step_has_dwelt() -> None:
    config = RolloutConfig(**(CONFIG.model_dump() | {"dwell_s": 4 * 3600.0}))
    held = allocate(arms(1.0, 2.0), FINE, HERE, config, LATER)
    assert held.threshold == 2000
    assert "lasted" in held.reason
    assert held.better == pytest.approx(1.0)
    assert allocate(arms(1.0, 2.0), FINE, HERE, config, START + timedelta(hours=5)).threshold == 4000
    # A step in which the share never moved counts from its beginning.
    fresh = replace(HERE, moved=None)
    assert allocate(arms(2.0, 1.0), FINE, fresh, config, START + timedelta(minutes=59)).threshold == 2000
    assert allocate(arms(2.0, 1.0), FINE, fresh, config, START + timedelta(minutes=61)).threshold == 500


@settings(max_examples=25, deadline=None)
@given(st.floats(0.001, 0.4), st.floats(-5, 5), st.floats(0.01, 100), st.integers(50, 10**6))
def test_no_arm_ever_gets_less_than_the_minimum(
    least: float, better: float, variance: float, count: int
) -> None:
    config = RolloutConfig(**(CONFIG.model_dump() | {"thompson": {"minimum": least}}))
    found = allocate(arms(1.0, 1.0 + better, variance, count), FINE, HERE, config, LATER)
    assert min(round(least * 10_000), 4000) <= found.threshold <= min(round((1 - least) * 10_000), 4000)


def test_what_users_did_before_sharpens_the_posterior() -> None:
    rng = np.random.default_rng(3)
    before = rng.gamma(1.0, 2.0, 400)
    after = before + rng.normal(0, 0.3, 400)
    seen = Arms(pair(after[:200], before[:200]), pair(after[200:], before[200:]))
    with_cuped: Any = CONFIG.model_copy(update={"cuped": True})
    assert posterior(1, seen, with_cuped).scale < 0.4 * posterior(1, seen, CONFIG).scale
