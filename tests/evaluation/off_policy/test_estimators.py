"""Estimators by hand, their properties, and refusals."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from slate.errors import ConfigError, DataError
from slate.evaluation.off_policy import doubly_robust, inverse_propensity, self_normalised
from slate.evaluation.off_policy.doubly_robust import crossfitted
from slate.evaluation.off_policy.estimate import estimate
from slate.evaluation.off_policy.logged import Logged, Terms
from slate.evaluation.off_policy.weights import clipped, effective

#: Three slates: weights 2, 0 and 0.5.
BY_HAND = Logged(
    users=np.array([0, 1, 1]),
    rewards=np.array([1.0, 3.0, 4.0]),
    weights=np.array([2.0, 0.0, 0.5]),
    modelled=np.array([0.5, 1.0, 3.0]),
    expected=np.array([1.5, 2.0, 1.0]),
)


def value(terms: Terms) -> float:
    return float(terms.above.sum() / terms.below.sum())


def test_by_hand() -> None:
    assert value(inverse_propensity.terms(BY_HAND)) == pytest.approx((2 + 0 + 2) / 3)
    assert value(self_normalised.terms(BY_HAND)) == pytest.approx((2 + 0 + 2) / 2.5)
    # 1.5 + 2 (1 - 0.5), 2 + 0, 1 + 0.5 (4 - 3).
    assert value(doubly_robust.terms(BY_HAND)) == pytest.approx((2.5 + 2 + 1.5) / 3)
    assert effective(BY_HAND.weights) == pytest.approx(2.5**2 / 4.25)
    lowered, count = clipped(BY_HAND, 1.0)
    assert (lowered.weights.tolist(), count) == ([1.0, 0.0, 0.5], 1)
    with pytest.raises(ConfigError, match="above 0"):
        clipped(BY_HAND, 0.0)


def test_the_whole_answer_by_hand() -> None:
    found = estimate(BY_HAND, minimum=1, supported=False)
    values = {each.estimator: each for each in found.values}
    assert [*values] == ["ips", "snips", "dr"]
    assert found.shown == pytest.approx(8 / 3)
    assert values["ips"].difference == pytest.approx(4 / 3 - 8 / 3)
    assert values["snips"].value == pytest.approx(1.6)
    assert (found.slates, found.users, found.support) == (3, 2, pytest.approx(2.5 / 3))
    assert (found.largest_weight, found.clip, found.clipped) == (2.0, None, 0)
    less = estimate(BY_HAND, minimum=1, supported=False, clip=1.0)
    assert (less.clip, less.clipped, less.values[0].value) == (1.0, 1, pytest.approx(1.0))
    assert less.effective == found.effective


NUMBERS = st.floats(-100, 100)
WEIGHTS = st.floats(0, 50)


@given(st.lists(st.tuples(NUMBERS, WEIGHTS), min_size=1, max_size=30), NUMBERS)
def test_self_normalised_stays_among_the_rewards_and_moves_with_them(
    rows: list[tuple[float, float]], more: float
) -> None:
    rewards, weights = (np.array(column) for column in zip(*rows, strict=True))
    assume(weights.sum() > 1e-6)
    nothing = np.zeros(rewards.size)
    logged = Logged(np.arange(rewards.size), rewards, weights, nothing, nothing)
    found = value(self_normalised.terms(logged))
    weighed = rewards[weights > 0]
    assert weighed.min() - 1e-6 <= found <= weighed.max() + 1e-6
    moved = value(self_normalised.terms(replace(logged, rewards=rewards + more)))
    assert moved == pytest.approx(found + more, abs=1e-6)


@given(st.lists(st.tuples(NUMBERS, WEIGHTS, NUMBERS), min_size=1, max_size=30))
def test_a_model_that_knows_nothing_leaves_inverse_propensity(rows: list[tuple[float, float, float]]) -> None:
    rewards, weights, _ = (np.array(column) for column in zip(*rows, strict=True))
    nothing = np.zeros(rewards.size)
    logged = Logged(np.arange(rewards.size), rewards, weights, nothing, nothing)
    assert value(doubly_robust.terms(logged)) == pytest.approx(value(inverse_propensity.terms(logged)))
    # A model that is right about everything needs no weights.
    right = replace(logged, modelled=rewards, expected=np.array([row[2] for row in rows]))
    assert value(doubly_robust.terms(right)) == pytest.approx(right.expected.mean())


def test_too_few_slates_are_refused() -> None:
    with pytest.raises(DataError, match=r"3 slates are worth 1\.5 for this policy, 2 are needed"):
        estimate(BY_HAND, minimum=2, supported=False)
    none = replace(BY_HAND, weights=np.zeros(3))
    with pytest.raises(DataError, match=r"worth 0\.0"):
        estimate(none, minimum=1, supported=False)


def test_weights_that_contradict_what_was_shown_are_refused() -> None:
    rng = np.random.default_rng(1)
    propensities = np.where(rng.random(4000) < 0.8, 0.9, 0.1)  # Drawn with 0.8, logged as 0.9.
    nothing = np.zeros(4000)
    weights = np.where(propensities == 0.9, 0.5 / 0.9, 0.5 / 0.1)
    logged = Logged(np.arange(4000), nothing, weights, nothing, nothing)
    with pytest.raises(DataError, match="should be 1"):
        estimate(logged, minimum=10)
    assert estimate(logged, minimum=10, supported=False).support > 1


def test_the_model_of_a_user_does_not_know_that_user() -> None:
    rng = np.random.default_rng(2)
    users = np.arange(500) // 2
    inputs = rng.normal(size=(500, 2))
    rewards = 3 + inputs @ np.array([1.0, -2.0])
    modelled, expected = crossfitted(users, rewards, inputs, inputs + 1)
    assert modelled == pytest.approx(rewards, abs=0.05)
    assert expected == pytest.approx(rewards - 1, abs=0.05)
    spoilt = rewards.copy()
    spoilt[users == 7] += 1000
    again, _ = crossfitted(users, spoilt, inputs, inputs)
    assert again[users == 7] == pytest.approx(modelled[users == 7])
    alone, _ = crossfitted(np.zeros(3, np.int64), np.ones(3), np.ones((3, 1)), np.ones((3, 1)))
    assert alone.tolist() == [0.0, 0.0, 0.0]


def test_one_user_has_no_interval() -> None:
    found = estimate(replace(BY_HAND, users=np.zeros(3, np.int64)), minimum=1, supported=False)
    assert all(each.low is None and each.difference_high is None for each in found.values)
    assert not math.isnan(found.values[2].value)
