import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slate.errors import DataError, ModelError
from slate.evaluation.baselines import (
    EASE,
    MARKOV,
    POPULARITY,
    Ease,
    Markov,
    Popularity,
    Positives,
    best_rows,
    fit_baselines,
)

# Counts: item 0 three, item 1 two, item 2 three, item 3 one, item 4 none.
LOG = {"a": [0, 1, 2], "b": [0, 2, 1], "c": [0, 2], "d": [3]}


@pytest.fixture
def positives(user_log):
    return Positives.of(user_log(LOG), n_items=5)


def test_popularity_breaks_ties_by_row(positives, history):
    ranked = Popularity.fit(positives).rank([history([]), history([2, 3, 2])], k=5)
    assert ranked.tolist() == [[0, 2, 1, 3, 4], [0, 1, 4, -1, -1]]
    assert ranked.dtype == np.int32


def test_markov_follows_the_last_item_then_popularity(positives, history):
    model = Markov.fit(positives)
    # After 0: item 2 twice, item 1 once. After 1: item 2. After 2: item 1. After 3 and 4: nothing.
    histories = [history([3, 0]), history([1]), history([0, 2]), history([3]), history([])]
    assert model.rank(histories, k=4).tolist() == [
        [2, 1, 4, -1],
        [2, 0, 3, 4],
        [1, 3, 4, -1],
        [0, 2, 1, 4],
        [0, 2, 1, 3],
    ]


def test_markov_does_not_count_from_one_user_to_the_next(user_log, history):
    model = Markov.fit(Positives.of(user_log({"a": [0, 1], "b": [2, 0]}), n_items=3))
    assert model.rank([history([1])], k=3, exclude_seen=False).tolist() == [[0, 1, 2]]


def test_seen_items_stay_when_asked(positives, history):
    assert Popularity.fit(positives).rank([history([0, 2])], 3, exclude_seen=False).tolist() == [[0, 2, 1]]
    assert Markov.fit(positives).rank([history([2, 0])], 3, exclude_seen=False).tolist() == [[2, 1, 0]]
    assert 0 in Ease.fit(positives, 1.0).rank([history([0, 2])], 5, exclude_seen=False)


def test_ease_equals_ridge_regressions_without_the_item_itself(positives):
    """Steck's closed form is the solution of one ridge regression an item on all the others."""
    x = np.zeros((4, 5))
    for user, items in enumerate(LOG.values()):
        x[user, items] = 1.0
    gram, expected = x.T @ x, np.zeros((5, 5))
    for item in range(5):
        others = [j for j in range(5) if j != item]
        ridge = gram[np.ix_(others, others)] + 2.5 * np.eye(4)
        expected[others, item] = np.linalg.solve(ridge, gram[others, item])
    np.testing.assert_allclose(Ease.fit(positives, 2.5).weights, expected, atol=1e-12)


def test_ease_counts_a_repeated_interaction_once(user_log):
    once = Ease.fit(Positives.of(user_log({"a": [0, 1], "b": [1, 2]}), 3), 1.0)
    twice = Ease.fit(Positives.of(user_log({"a": [0, 1, 0], "b": [1, 2]}), 3), 1.0)
    np.testing.assert_allclose(once.weights, twice.weights)


def test_ease_without_history_ranks_by_popularity(positives, history):
    ranked = Ease.fit(positives, 1.0).rank([history([]), history([1, 1, 3])], k=4)
    assert ranked[0].tolist() == [0, 2, 1, 3]
    assert set(ranked[1].tolist()) == {0, 2, 4, -1}


def test_only_positive_events_teach(user_log, history):
    log = user_log({"a": [0, 1, 1], "b": [1, 2]}, events=[1, 2, 2, 2, 1])
    models = fit_baselines(log, 3, events=[1]).models
    assert models[POPULARITY].rank([history([])], 3).tolist() == [[0, 2, 1]]


def test_above_the_item_limit_ease_is_left_out_and_says_why(user_log):
    found = fit_baselines(user_log(LOG), 5, ease_item_limit=4)
    assert set(found.models) == {POPULARITY, MARKOV}
    assert "5 items are more than evaluation.ease_item_limit = 4" in found.skipped[EASE]
    assert set(fit_baselines(user_log(LOG), 5, ease_item_limit=5).models) == {POPULARITY, MARKOV, EASE}


def test_every_baseline_keeps_the_shape(user_log, history):
    for model in fit_baselines(user_log(LOG), 5).models.values():
        assert model.rank([], 3).shape == (0, 3)
        assert model.rank([history([0, 1, 2, 3, 4])], 7).tolist() == [[-1] * 7]


def test_unusable_logs_are_refused(user_log):
    with pytest.raises(DataError, match="no training interactions"):
        fit_baselines(user_log({}), 5)
    with pytest.raises(DataError, match="no training interactions"):
        fit_baselines(user_log(LOG), 5, events=[2])
    with pytest.raises(DataError, match="item row 3 is outside the 3 items"):
        fit_baselines(user_log(LOG), 3)
    with pytest.raises(ModelError, match="ease_regularisation: 0 is not positive"):
        fit_baselines(user_log(LOG), 5, ease_regularisation=0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12))
def test_best_rows_equal_a_full_sort_under_ties(seed, k):
    rng = np.random.default_rng(seed)
    scores = rng.integers(-2, 3, size=(4, 9)).astype(float)
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    scores[rng.random(scores.shape) < 0.1] = np.nan
    place = rng.permutation(9)
    expected = np.full((4, k), -1)
    for row, mine in enumerate(scores):
        usable = [c for c in range(9) if np.isfinite(mine[c])]
        best = sorted(usable, key=lambda c: (-mine[c], place[c]))[:k]
        expected[row, : len(best)] = best
    assert best_rows(scores, k, place).tolist() == expected.tolist()
