"""Policies of the log against the function that fills slots, and estimates against a known truth."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slate.config import ExplorationConfig
from slate.errors import DataError
from slate.evaluation.off_policy.doubly_robust import crossfitted
from slate.evaluation.off_policy.estimate import Estimates, estimate
from slate.evaluation.off_policy.logged import Logged
from slate.evaluation.off_policy.policies import Policy, chosen, drawn
from slate.evaluation.off_policy.slots import PROPENSITY, RELEASE, Slots
from slate.recommend.ordering.exploration import explored


def slots(chances: Any, releases: Any = None) -> Slots:
    chances = np.asarray(chances, dtype=np.float64)
    names = ["r"] * chances.size if releases is None else releases
    return Slots(pa.table({PROPENSITY: chances, RELEASE: names}), [["x"]] * chances.size, 0, 0)


@given(st.floats(0.01, 0.6), st.integers(2, 20), st.integers(2, 30), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_draws_are_read_back_as_they_were_made(rate: float, pool: int, candidates: int, seed: int) -> None:
    order = np.arange(candidates)
    made = [explored(order, 5, rate, None, pool, seed + n) for n in range(40)]
    at = len(made[0].places) - 1
    size = min(pool, 1 + max(candidates - 5, 0))
    if size == 1:
        return  # No choice: the propensity is 1, and no slot of it gets here.
    found = drawn(
        slots([each.propensities[at] for each in made]), {"r": ExplorationConfig(rate=rate, pool=pool)}
    )
    assert found.pool.tolist() == [size] * 40
    assert found.own.tolist() == [float(each.places[at] == at) for each in made]
    assert chosen("uniform", found) == pytest.approx(1 / size)


def test_each_release_is_read_by_its_own_rate() -> None:
    config = {"a": ExplorationConfig(rate=0.5, pool=2), "b": ExplorationConfig(rate=0.2, pool=4)}
    found = drawn(slots([0.75, 0.05, 0.25], ["a", "b", "a"]), config)
    assert (found.pool.tolist(), found.own.tolist()) == ([2, 4, 2], [1.0, 0.0, 0.0])


def test_propensities_that_no_draw_has_are_refused() -> None:
    config = {"r": ExplorationConfig(rate=0.2, pool=4)}
    with pytest.raises(DataError, match=r"propensity 0\.5: release r explores with rate 0\.2 and pool 4"):
        drawn(slots([0.05, 0.5]), config)
    # 0.4 is rate 0.8 of 2, and 0.2 + 0.8 / 4.
    with pytest.raises(DataError, match="two sizes"):
        drawn(slots([0.4]), {"r": ExplorationConfig(rate=0.8, pool=4)})


def test_slots_that_are_drawn_evenly_do_not_tell_the_orders_own_item() -> None:
    found = drawn(slots([0.25, 0.25]), {"r": ExplorationConfig(rate=1.0, pool=4)})
    assert chosen("uniform", found).tolist() == [0.25, 0.25]
    with pytest.raises(DataError, match="2 of 2 slots were drawn evenly"):
        chosen("greedy", found)


RATE, POOL, SLATES = 0.3, 5, 2000
#: What an item of each place in the pool brings in the mean; the order's own is the first.
WORTH = np.array([0.5, 0.2, 0.9, 0.1, 0.3])
TRUTH = {"greedy": WORTH[0], "uniform": WORTH.mean()}


def logged(policy: Policy, rng: np.random.Generator, model: str) -> Logged:
    """Slots that the real function fills for users whose mood differs, and what a model makes of them."""
    order = np.arange(POOL)
    made = [explored(order, 1, RATE, 1, POOL, int(seed)) for seed in rng.integers(0, 2**62, SLATES)]
    places = np.array([int(each.places[0]) for each in made])
    chances = np.array([float(each.propensities[0]) for each in made])
    users = rng.integers(0, SLATES // 4, SLATES)
    mood = rng.normal(0, 1.5, SLATES // 4)[users]
    rewards = rng.poisson(WORTH[places]) + mood
    found = drawn(slots(chances), {"r": ExplorationConfig(rate=RATE, pool=POOL)})
    if model == "wrong":  # Of the place in the pool, upside down, and of nothing that is.
        noise = rng.normal(size=SLATES)
        modelled, expected = 3 + noise - places, 3 + noise - (0 if policy == "greedy" else 2)
    else:
        wanted = np.column_stack([mood, np.full(SLATES, TRUTH[policy])])
        modelled, expected = crossfitted(users, rewards, np.column_stack([mood, WORTH[places]]), wanted)
    return Logged(users, rewards, chosen(policy, found) / chances, modelled, expected)


def simulated(policy: Policy, model: str, runs: int) -> list[Estimates]:
    rng = np.random.default_rng(11)
    return [estimate(logged(policy, rng, model), minimum=100, resamples=100) for _ in range(runs)]


@pytest.mark.parametrize("policy", ["greedy", "uniform"])
@pytest.mark.parametrize("model", ["wrong", "good"])
def test_estimates_are_unbiased(policy: Policy, model: str) -> None:
    found = simulated(policy, model, 8)
    for place, name in enumerate(("ips", "snips", "dr")):
        values = np.array([each.values[place].value for each in found])
        error = values.std(ddof=1) / np.sqrt(len(values))
        assert abs(values.mean() - TRUTH[policy]) < 4 * error, (name, values.mean(), TRUTH[policy])
        inside = [each.values[place].low <= TRUTH[policy] <= each.values[place].high for each in found]  # type: ignore[operator]
        assert sum(inside) >= 6, name


def test_a_good_model_takes_variance_away() -> None:
    found = simulated("uniform", "good", 8)
    ips, _, dr = (np.std([each.values[place].difference for each in found]) for place in range(3))
    assert dr < 0.8 * ips


def test_clipping_biases_and_says_so() -> None:
    rng = np.random.default_rng(3)
    found = estimate(logged("uniform", rng, "wrong"), minimum=100, clip=1.0, resamples=100)
    assert found.clipped > 0
    assert found.values[0].value < 0.8 * TRUTH["uniform"]
