import numpy as np

from slate.recommend.ordering.diversity import by_relevance_and_diversity
from slate.recommend.ordering.relevance import by_score


def test_scores_that_are_not_finite_sink_and_are_cut() -> None:
    scores = np.array([np.nan, 0.2, np.inf, 0.7, -np.inf], np.float32)
    assert by_score(scores, 5).tolist() == [3, 1]


def test_ties_keep_the_order_of_retrieval() -> None:
    assert by_score(np.array([0.5, 0.9, 0.5, 0.9], np.float32), 4).tolist() == [1, 3, 0, 2]


def test_nothing_in_nothing_out() -> None:
    nothing = np.empty(0, np.float32)
    assert by_score(nothing, 3).tolist() == []
    assert by_relevance_and_diversity(nothing, np.empty((0, 2), np.float32), 3, 0.5).tolist() == []


def test_no_diversity_is_the_order_by_score() -> None:
    scores = np.array([0.1, 0.4, 0.3], np.float32)
    same = np.ones((3, 2), np.float32)
    assert by_relevance_and_diversity(scores, same, 3, 0.0).tolist() == [1, 2, 0]


def test_diversity_prefers_what_differs_from_the_picked() -> None:
    # 0 and 1 are twins; 2 points elsewhere. Relevance scaled to 0..1: 1, 0.9, 0. After picking 0 at
    # diversity 0.6: item 1 has 0.4 * 0.9 - 0.6 * 1 = -0.24, item 2 has 0.4 * 0 - 0.6 * 0 = 0.
    scores = np.array([1.0, 0.95, 0.5], np.float32)
    embeddings = np.array([[2.0, 0.0], [5.0, 0.0], [0.0, 3.0]], np.float32)
    assert by_relevance_and_diversity(scores, embeddings, 2, 0.6).tolist() == [0, 2]
    assert by_relevance_and_diversity(scores, embeddings, 2, 0.1).tolist() == [0, 1]


def test_diversity_never_picks_an_unscored_candidate() -> None:
    scores = np.array([0.5, np.nan, 0.4], np.float32)
    embeddings = np.eye(3, dtype=np.float32)
    assert by_relevance_and_diversity(scores, embeddings, 3, 0.9).tolist() == [0, 2]
