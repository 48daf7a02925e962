import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.data.drift.measures import REST
from slate.monitoring.shares import MISSING, Bins, Distribution, Values, count, moved


def test_numbers_go_between_deciles_and_names_by_how_common_they_are() -> None:
    bins = Bins.of(np.arange(1.0, 101.0), most=3)
    assert bins.edges == (10, 20, 30, 40, 50, 60, 70, 80, 90)
    assert bins.codes(np.array([10.0, 10.5, 91.0, np.nan, np.inf])).tolist() == [0, 1, 9, 10, 10]
    names = Bins.of(pa.array(["b", "a", "a", None, "c", "b", "d"]), most=2)
    assert names.labels == ("a", "b", REST, MISSING)
    assert names.codes(pa.array(["b", "z", None, "a"])).tolist() == [1, 2, 3, 0]


def test_the_variance_of_a_share_is_worked_by_hand() -> None:
    # Users with (1 of 1), (0 of 1), (2 of 2): p = 3/4, residuals 1/4, -3/4, 1/2, their mean size 4/3.
    values = Values(np.array([0, 1, 2, 2]), np.array([1.0, 0.0, 1.0, 1.0]))
    found = count(values, Bins(edges=(0.5,)))
    assert found.shares.tolist() == [0.25, 0.75, 0.0]
    scatter = (1 / 16 + 9 / 16 + 4 / 16) / 2
    assert found.covariance[1, 1] == pytest.approx(scatter / 3 / (4 / 3) ** 2)
    assert found.covariance[0, 1] == pytest.approx(-found.covariance[1, 1])


def test_ten_copies_of_everything_a_user_has_say_no_more() -> None:
    generator = np.random.default_rng(5)
    users, values = np.repeat(np.arange(200), 2), generator.normal(size=400)
    before = Distribution.of(Values(np.arange(500), generator.normal(size=500)), 20)
    once = moved(before, count(Values(users, values), before.bins))
    often = moved(before, count(Values(np.tile(users, 10), np.tile(values, 10)), before.bins))
    assert often.value == pytest.approx(once.value)
    assert often.chance == pytest.approx(once.chance)


def test_chance_is_passed_in_about_one_of_a_thousand_cases() -> None:
    generator = np.random.default_rng(11)
    weights = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    names = np.array(["a", "b", "c", "d", "e"])

    def drawn(users: int) -> Values:
        # Users are of one taste each: four values that are nearly one.
        own = generator.choice(names, users, p=weights)
        values = np.repeat(own, 4)
        other = generator.random(4 * users) < 0.3
        values[other] = generator.choice(names, int(other.sum()), p=weights)
        return Values(np.repeat(np.arange(users), 4), pa.array(values))

    passed = 0
    for _ in range(200):
        before = Distribution.of(drawn(300), 20)
        found = moved(before, count(drawn(200), before.bins))
        passed += found.value > found.chance
    assert passed <= 2


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["a", "b", "c", None])), min_size=2, max_size=60)
)
def test_shares_are_whole_and_survive_json(rows: list[tuple[int, str | None]]) -> None:
    values = Values(np.array([u for u, _ in rows]), pa.array([v for _, v in rows], pa.string()))
    made = Distribution.of(values, 2)
    assert made.shares.sum() == pytest.approx(1)
    assert (made.variances >= -1e-12).all()
    again = Distribution.from_dict(made.to_dict())
    same = moved(again, count(values, again.bins))
    assert same.value == pytest.approx(0)
    assert same.before.sum() == pytest.approx(1)
    assert again.bins == made.bins
