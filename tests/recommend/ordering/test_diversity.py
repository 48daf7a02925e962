import numpy as np

from slate.recommend.ordering.diversity import by_relevance_and_diversity, diverse
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


def test_one_after_the_other_they_are_the_same_and_only_as_many_as_are_asked_for() -> None:
    random = np.random.default_rng(3)
    scores = random.normal(size=40).astype(np.float32)
    scores[[4, 17]] = np.nan
    embeddings = random.normal(size=(40, 3)).astype(np.float32)
    embeddings[9] = 0.0
    whole = list(diverse(scores, embeddings, 0.4))
    assert sorted(whole) == [place for place in range(40) if place not in (4, 17)]
    for k in (0, 1, 7, 38, 50):
        assert by_relevance_and_diversity(scores, embeddings, k, 0.4).tolist() == whole[:k]
    assert whole == _by_definition(scores, embeddings, 0.4)


def _by_definition(scores: np.ndarray, embeddings: np.ndarray, diversity: float) -> list[int]:
    left = [place for place in range(len(scores)) if np.isfinite(scores[place])]
    low, high = min(scores[left]), max(scores[left])
    lengths = np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-9)
    cosines = (embeddings / lengths) @ (embeddings / lengths).T
    picked = [max(left, key=lambda place: scores[place])]
    while len(picked) < len(left):
        others = [place for place in left if place not in picked]
        picked.append(
            max(
                others,
                key=lambda place: (
                    (1 - diversity) * (scores[place] - low) / (high - low)
                    - diversity * max(cosines[place][picked])
                ),
            )
        )
    return picked
