import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import distance

from slate.data.drift.measures import FLOOR, aligned, decile_shares, jensen_shannon, stability_index

histograms = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 1000), min_size=1).filter(
    lambda counts: sum(counts.values()) > 0
)


def test_a_divergence_worked_by_hand() -> None:
    # From (1, 0) to (0, 1) nothing is shared: 1 bit. From (1, 0) to (1/2, 1/2) the middle is (3/4, 1/4).
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(1.0)
    expected = (math.log2(4 / 3) + 0.5 * math.log2(2 / 3) + 0.5 * math.log2(2)) / 2
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.5, 0.5])) == pytest.approx(expected)


@given(histograms, histograms)
def test_the_divergence_is_scipy_s_distance_squared(first: dict[str, int], second: dict[str, int]) -> None:
    p, q, _ = aligned(first, second)
    assert jensen_shannon(p, q) == pytest.approx(distance.jensenshannon(p, q, base=2) ** 2, abs=1e-9)


@given(histograms, histograms)
def test_both_measures_are_symmetric_bounded_and_zero_for_the_same(
    first: dict[str, int], second: dict[str, int]
) -> None:
    p, q, _ = aligned(first, second)
    for measure in (jensen_shannon, stability_index):
        assert measure(p, q) == pytest.approx(measure(q, p))
        assert measure(p, p) == pytest.approx(0.0, abs=1e-12)
    assert 0 <= jensen_shannon(p, q) <= 1 + 1e-12
    assert stability_index(p, q) >= 0


def test_a_stability_index_worked_by_hand() -> None:
    expected = (0.6 - 0.5) * math.log(0.6 / 0.5) + (0.4 - 0.5) * math.log(0.4 / 0.5)
    assert stability_index(np.array([0.5, 0.5]), np.array([0.6, 0.4])) == pytest.approx(expected)


def test_an_empty_bin_makes_a_large_index_and_no_infinite_one() -> None:
    floored = (FLOOR - 0.5) * math.log(FLOOR / 0.5) + (1.0 - 0.5) * math.log(1.0 / 0.5)
    assert stability_index(np.array([0.5, 0.5]), np.array([0.0, 1.0])) == pytest.approx(floored)


def percentiles(values: np.ndarray) -> list[float]:
    return np.quantile(values, np.linspace(0, 1, 101)).tolist()


def test_deciles_of_the_first_hold_a_tenth_each() -> None:
    values = np.random.default_rng(1).normal(size=50_000)
    before, now, names = decile_shares(percentiles(values), percentiles(values + 1.0))
    assert len(names) == len(before) == 11
    assert before[1:] == pytest.approx(0.1, abs=0.011)
    assert before.sum() == pytest.approx(1.0)
    assert now.sum() == pytest.approx(1.0)
    # A standard normal shifted by 1: 0.386 of it lies above the old 90th percentile, up to 1 in 101.
    assert now[-1] == pytest.approx(0.389, abs=0.015)


@pytest.mark.parametrize("column", [[3.0] * 101, [0.0] * 60 + [1.0] * 41])
def test_columns_of_few_values_have_few_bins(column: list[float]) -> None:
    before, now, _ = decile_shares(column, column)
    assert len(before) <= 3
    assert before.tolist() == now.tolist()
    moved = decile_shares(column, [value + 5 for value in column])[1]
    assert stability_index(before, moved) > 1
