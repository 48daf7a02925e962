import numpy as np

from slate.recommend.filters import RowFilter, apply_filters


def test_a_filter_says_what_it_kept_and_what_it_removed() -> None:
    outcome = RowFilter("seen", [7, 3]).apply(np.array([3, 5, 7, 9], np.int32))
    assert outcome.kept.tolist() == [1, 3]
    assert outcome.removed.tolist() == [0, 2]


def test_a_candidate_counts_for_the_first_filter_that_takes_it() -> None:
    candidates = np.array([1, 2, 3, 4], np.int32)
    outcome = apply_filters([RowFilter("seen", [1, 2]), RowFilter("excluded", [2, 4])], candidates)
    assert outcome.kept.tolist() == [2]
    assert {name: at.tolist() for name, at in outcome.removed.items()} == {"seen": [0, 1], "excluded": [3]}


def test_no_filters_and_no_candidates() -> None:
    assert apply_filters([], np.array([5, 6], np.int32)).kept.tolist() == [0, 1]
    empty = apply_filters([RowFilter("seen", [1])], np.empty(0, np.int32))
    assert empty.kept.tolist() == []
    assert empty.removed["seen"].tolist() == []
