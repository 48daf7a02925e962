import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slate.recommend.ordering.exploration import explored

ORDER = np.array([7, 3, 9, 1, 4, 8, 2])
TRIALS = 20_000


@pytest.mark.parametrize(
    ("k", "rate", "position", "pool"),
    [(3, 0.3, 2, 4), (3, 1.0, None, 3), (2, 0.5, 1, 100), (7, 0.4, 3, 5), (5, 0.9, 5, 2)],
)
def test_propensities_are_the_shares_of_many_seeds(
    k: int, rate: float, position: int | None, pool: int
) -> None:
    shown: Counter[int] = Counter()
    said: dict[int, float] = {}
    at = (k if position is None else position) - 1
    for seed in range(TRIALS):
        answer = explored(ORDER, k, rate, position, pool, seed)
        place = int(answer.places[at])
        shown[place] += 1
        assert said.setdefault(place, answer.propensities[at]) == answer.propensities[at]
        others = np.delete(np.arange(k), at)
        assert answer.places[others].tolist() == ORDER[:k][others].tolist()
        assert set(answer.propensities[others].tolist()) <= {1.0}
    assert len(shown) == min(pool, 1 + len(ORDER) - k)
    assert sum(said.values()) == pytest.approx(1.0)
    for place, chance in said.items():
        error = math.sqrt(chance * (1 - chance) / TRIALS)
        assert abs(shown[place] / TRIALS - chance) <= 4 * error + 1e-12


def test_hand_worked_probabilities() -> None:
    # Position 2 of 3, pool of 4: 3, 1, 4, 8. The order's own: 0.7 + 0.3 / 4; each other: 0.3 / 4.
    found = {}
    for seed in range(200):
        answer = explored(ORDER, 3, 0.3, 2, 4, seed)
        found[int(answer.places[1])] = float(answer.propensities[1])
    assert found == pytest.approx({3: 0.775, 1: 0.075, 4: 0.075, 8: 0.075})


@settings(deadline=None)
@given(
    order=st.permutations(range(12)),
    k=st.integers(1, 20),
    rate=st.floats(0, 1),
    position=st.none() | st.integers(1, 20),
    pool=st.integers(2, 20),
    seed=st.integers(-(2**63), 2**64),
)
def test_a_slate_stays_a_slate(
    order: list[int], k: int, rate: float, position: int | None, pool: int, seed: int
) -> None:
    places = np.asarray(order)
    answer = explored(places, k, rate, position, pool, seed)
    assert len(answer.places) == min(k, 12)
    assert len(set(answer.places.tolist())) == len(answer.places)
    assert np.all((answer.propensities > 0) & (answer.propensities <= 1 + 1e-12))
    again = explored(places, k, rate, position, pool, seed)
    assert again.places.tolist() == answer.places.tolist()
    assert places.tolist() == order


def test_a_short_or_empty_slate_is_left_as_it_is() -> None:
    assert explored(ORDER[:2], 5, 1.0, 4, 3, 1).places.tolist() == [7, 3]
    assert explored(ORDER[:0], 5, 1.0, None, 3, 1).places.tolist() == []
    alone = explored(ORDER[:1], 5, 1.0, None, 3, 1)
    assert (alone.places.tolist(), alone.propensities.tolist()) == ([7], [1.0])
