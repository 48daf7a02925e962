import math

import numpy as np
import pytest

from slate.data.sequences import History
from slate.retrieval.query import Query
from slate.retrieval.validation import RankedTargets

TABLE = np.eye(5, dtype=np.float32)


def targets(items: list[int], users: list[int], seen: list[list[int]]) -> RankedTargets:
    queries = tuple(
        Query(History(np.asarray(s, np.int32), np.ones(len(s), np.int16), np.zeros(len(s), np.int64)), 1)
        for s in seen
    )
    rows = np.repeat(np.arange(len(seen)), [len(s) for s in seen])
    return RankedTargets(
        queries,
        np.asarray(items),
        np.asarray(users),
        rows,
        np.asarray([i for s in seen for i in s], np.int64),
    )


def test_seen_items_are_not_ranked_and_ties_count_against() -> None:
    ranked = targets([1, 3, 4], [0, 0, 1], [[0], [], [0, 1, 2]])
    queries = np.asarray([[9, 5, 7, 5, 1], [4, 3, 2, 1, 0], [9, 8, 7, 6, 5]], np.float32)
    # Without item 0: 7 stands above and another 5 ties. Nothing seen: 3 above. Only 6 above.
    assert ranked.ranks(queries, TABLE).tolist() == [3, 4, 2]


def test_ndcg_is_the_mean_of_user_means() -> None:
    ranked = targets([1, 3, 4], [0, 0, 1], [[], [], []])
    gains = [1.0, 1 / math.log2(4), 0.0]
    expected = ((gains[0] + gains[1]) / 2 + gains[2]) / 2
    assert ranked.ndcg(np.asarray([1, 3, 11])) == pytest.approx(expected)


def test_scores_that_are_not_numbers_never_rank_first() -> None:
    ranked = targets([1], [0], [[]])
    assert ranked.ranks(np.full((1, 5), np.nan, np.float32), TABLE).tolist() == [5]


def test_no_targets_have_no_quality() -> None:
    ranked = targets([], [], [])
    assert ranked.ndcg(ranked.ranks(np.empty((0, 5), np.float32), TABLE)) == 0.0
