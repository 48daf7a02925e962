import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.evaluation.slices import MISSING, OTHER, attribute_slices, standard_slices, value_labels


@pytest.fixture
def targets(make_targets):
    return make_targets([("b", 0, [1]), ("a", 1, []), ("a", 2, [1, 0]), ("c", 2, [0, 1, 3])])


def test_cold_users_are_cold_at_prediction_time_and_new_items_by_training_count(targets):
    parts = standard_slices(targets, np.array([9, 1, 2, 0]), cold_user_history=2, new_item_count=1)
    assert [p.name for p in parts] == ["all", "cold users", "new items"]
    assert [p.mask.tolist() for p in parts] == [
        [True] * 4,
        [True, True, False, False],
        [False, True, False, False],
    ]


def test_an_attribute_makes_a_slice_a_value_and_one_for_the_missing(targets):
    parts = attribute_slices(targets, "gender", {"a": "M", "b": "F"}, limit=10)
    assert [(p.name, p.mask.tolist()) for p in parts] == [
        ("gender: F", [True, False, False, False]),
        ("gender: M", [False, True, True, False]),
        ("gender: missing", [False, False, False, True]),
    ]


def test_numbers_are_cut_at_quartiles_of_users_with_readable_edges():
    labels, order = value_labels([7, 18, 25, 31, 40, 43, 55, 73, None, math.inf], limit=3)
    assert order == ["up to 23.25", "over 23.25 up to 35.5", "over 35.5 up to 46", "over 46", MISSING]
    assert labels[2:4] == ["over 23.25 up to 35.5"] * 2
    assert labels[-2:] == [MISSING, MISSING]


def test_a_number_with_few_values_is_taken_value_by_value():
    assert value_labels([1, 2.5, 1, 3], limit=9).labels == ["1", "2.5", "1", "3"]
    assert value_labels([True, False, None], limit=9).order == ["False", "True", MISSING]


def test_quartiles_that_coincide_are_merged():
    assert value_labels([0] * 20 + [1, 2, 3, 4, 5], limit=9).order == ["up to 0", "over 0"]


def test_the_rarest_values_share_a_slice():
    labels, order = value_labels(["a"] * 3 + ["b"] * 2 + ["c", "d", ""], limit=3)
    assert order == ["a", "b", OTHER, MISSING]
    assert labels[-3:] == [OTHER, OTHER, MISSING]


def test_no_targets_make_no_attribute_slices(make_targets):
    assert attribute_slices(make_targets([]), "gender", {"a": "M"}, limit=5) == []


@given(
    st.lists(st.one_of(st.none(), st.floats(), st.integers(-5, 5), st.text(max_size=2))),
    st.integers(2, 6),
)
def test_every_value_has_exactly_one_label_in_the_order(values, limit):
    labels, order = value_labels(values, limit)
    assert len(labels) == len(values)
    assert sorted(set(labels)) == sorted(order)
    assert len(order) <= max(limit, 4) + 1
