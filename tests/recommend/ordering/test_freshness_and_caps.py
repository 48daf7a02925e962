import numpy as np

from slate.recommend.ordering.caps import Cap, capped
from slate.recommend.ordering.freshness import with_freshness
from slate.retrieval.sources.records import NEVER

DAY = 86_400_000_000


def test_the_gain_halves_and_an_undated_item_gains_nothing() -> None:
    scores = np.array([-2, 1, 0, -1, 0], np.float32)
    since = np.array([10, 8, 6, 14, NEVER // DAY], np.int64) * DAY
    since[-1] = NEVER
    # Spread 3, boost 0.5: gains 1.5 when new, 0.75 after two days, 0.375 after four; from the future 1.5.
    found = with_freshness(scores, since, 10 * DAY, 0.5, 2.0)
    assert found.tolist() == [-0.5, 1.75, 0.375, 0.5, 0.0]


def test_equal_scores_and_none_at_all() -> None:
    same = np.array([2, 2], np.float32)
    assert with_freshness(same, np.array([0, DAY]), DAY, 1.0, 1.0).tolist() == [2, 2]
    assert with_freshness(same[:0], np.empty(0, np.int64), DAY, 1.0, 1.0).tolist() == []


def test_no_more_than_the_cap_of_one_label() -> None:
    labels = [["a"], ["a", "b"], ["a"], [], ["b"], []]
    rows = np.array([0, 1, 2, 3, 4, 5], np.int32)
    order = np.array([0, 1, 2, 3, 4, 5])
    assert capped(order, rows, [Cap(labels, 2)], 6).tolist() == [0, 1, 3, 4, 5]
    assert capped(order, rows, [Cap(labels, 1)], 6).tolist() == [0, 3, 4, 5]
    assert capped(order, rows, [Cap(labels, 1)], 2).tolist() == [0, 3]
    assert capped(order[::-1], rows, [Cap(labels, 1)], 6).tolist() == [5, 4, 3, 2]
    assert capped(order[:0], rows[:0], [Cap(labels, 1)], 6).tolist() == []


def test_several_caps_hold_together() -> None:
    first, second = [["x"], ["x"], ["y"], ["z"]], [["p"], ["q"], ["p"], ["q"]]
    rows = np.array([3, 2, 1, 0], np.int32)
    found = capped(np.array([3, 2, 1, 0]), rows, [Cap(first, 1), Cap(second, 1)], 4)
    # Rows in order: 0 (x, p), 1 stopped by x, 2 stopped by p, 3 (z, q).
    assert rows[found].tolist() == [0, 3]
