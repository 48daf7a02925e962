import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import distance

from slate.data.drift.measures import (
    BITS_PER_INDEX,
    FLOOR,
    REST,
    aligned,
    by_chance,
    decile_shares,
    jensen_shannon,
    stability_index,
)

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
    return [float(value) for value in np.quantile(values, np.linspace(0, 1, 101))]


def test_deciles_of_the_first_hold_a_tenth_each() -> None:
    values = np.random.default_rng(1).normal(size=50_000)
    before, now, names = decile_shares(percentiles(values), percentiles(values + 1.0))
    assert len(names) == len(before) == 10
    assert before == pytest.approx(0.1, abs=0.011)
    assert before.sum() == pytest.approx(1.0)
    assert now.sum() == pytest.approx(1.0)
    # A standard normal shifted by 1: 0.389 of it lies above the old 90th percentile, up to 1 in 101.
    assert now[-1] == pytest.approx(0.389, abs=0.015)


@pytest.mark.parametrize("column", [[3.0] * 101, [0.0] * 60 + [1.0] * 41, [0.0] * 5 + [1.0] * 96])
@pytest.mark.parametrize("by", [5.0, -5.0])
def test_columns_of_few_values_have_few_bins_and_are_seen_to_move(column: list[float], by: float) -> None:
    before, now, names = decile_shares(column, column)
    assert len(before) == len(names) <= 5
    assert before.tolist() == now.tolist()
    moved = decile_shares(column, [value + by for value in column])
    assert stability_index(before, moved.second) > 1


def test_a_shortened_list_supposes_no_more_than_its_least_and_what_is_left() -> None:
    # c is not listed now: it may have up to 0.1, as d has, of the 0.2 that are left.
    before, now, names = aligned({"a": 50, "c": 30, "d": 20}, {"a": 7, "d": 1, REST: 2})
    assert names == ("a", "c", "d", REST)
    assert before.tolist() == pytest.approx([0.5, 0.3, 0.2, 0])
    assert now.tolist() == pytest.approx([0.7, 0.1, 0.1, 0.1])
    # Two names that are not listed share the 0.04 that are left.
    before, now, names = aligned({"b": 1, "c": 1, "a": 8}, {"a": 96, REST: 4})
    assert names == ("a", "b", "c")
    assert now.tolist() == pytest.approx([0.96, 0.02, 0.02])


def test_of_many_names_the_most_common_of_either_side_are_kept() -> None:
    before, _, names = aligned({"a": 6, "b": 3, "c": 1}, {"c": 5, "a": 5}, most=1)
    assert names == ("a", REST)
    assert before.tolist() == pytest.approx([0.6, 0.4])
    assert aligned({"a": 6, "b": 3, "c": 1}, {"c": 6, "a": 4}, most=1).bins == ("a", "c", REST)


@given(histograms, st.integers(1, 8))
def test_the_same_histogram_listed_shorter_has_not_moved(counts: dict[str, int], kept: int) -> None:
    ordered = sorted(counts.items(), key=lambda entry: -entry[1])
    rest = sum(count for _, count in ordered[kept:])
    shorter = dict(ordered[:kept]) | ({REST: rest} if rest else {})
    for first, second in ((counts, shorter), (shorter, counts)):
        p, q, _ = aligned(first, second)
        assert p.sum() == pytest.approx(1)
        assert q.sum() == pytest.approx(1)
        assert jensen_shannon(p, q) == pytest.approx(0, abs=1e-9)


@given(histograms, histograms, st.permutations("abcdefgh"))
def test_names_do_not_matter(first: dict[str, int], second: dict[str, int], names: list[str]) -> None:
    other = dict(zip("abcdefgh", names, strict=True))
    p, q, _ = aligned(first, second)
    r, s, _ = aligned({other[n]: c for n, c in first.items()}, {other[n]: c for n, c in second.items()})
    assert jensen_shannon(p, q) == pytest.approx(jensen_shannon(r, s), abs=1e-9)
    assert stability_index(p, q) == pytest.approx(stability_index(r, s), abs=1e-9)


def test_samples_of_one_distribution_pass_the_limit_of_chance_one_time_in_a_thousand() -> None:
    # The 99.9th percentile of a chi-square of 1 degree is 3.2905 squared.
    assert by_chance(2, 100, 400) == pytest.approx(3.2905**2 * (1 / 100 + 1 / 400), rel=1e-4)
    assert by_chance(1, 100, 100) == 0.0
    assert by_chance(5, 0, 100) == 0.0
    generator = np.random.default_rng(3)
    shares = np.linspace(1, 3, 12) / np.linspace(1, 3, 12).sum()
    before, now = (generator.multinomial(size, shares, 20_000) / size for size in (600, 900))
    limit = by_chance(12, 600, 900)
    index = [stability_index(b, n) for b, n in zip(before, now, strict=True)]
    bits = [jensen_shannon(b, n) for b, n in zip(before, now, strict=True)]
    assert 0.0003 < np.mean(np.asarray(index) > limit) < 0.003
    assert 0.0003 < np.mean(np.asarray(bits) > limit * BITS_PER_INDEX) < 0.003
