import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import ndcg_score

from slate.errors import DataError
from slate.evaluation.metrics import (
    PADDING,
    check_ranked,
    concentration,
    exposure,
    exposure_metrics,
    lorenz,
    metric_names,
    metric_table,
    target_metrics,
    target_ranks,
    user_means,
)

COUNTS = hnp.arrays(np.int64, st.integers(1, 30), elements=st.integers(0, 1000))


def test_metrics_of_three_targets_by_hand():
    ranked = np.array([[4, 2, 9, 1], [7, 3, PADDING, PADDING], [5, 6, 8, 0]], np.int32)
    table = metric_table(ranked, np.array([9, 1, 5], np.int32), [2, 4])
    assert metric_names([2, 4]) == ("recall@2", "ndcg@2", "mrr@2", "recall@4", "ndcg@4", "mrr@4")
    np.testing.assert_allclose(
        table, [[0, 0, 0, 1, 0.5, 1 / 3], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]], atol=1e-12
    )


def test_user_means_weigh_users_not_targets():
    means = user_means(np.array([3, 1, 3, 3]), np.array([[1.0, 0.0], [0.5, 4.0], [0.0, 1.0], [0.5, 2.0]]))
    assert means.users.tolist() == [1, 3]
    assert means.targets.tolist() == [1, 3]
    np.testing.assert_allclose(means.means, [[0.5, 4.0], [0.5, 1.0]])
    np.testing.assert_allclose(means.means.mean(axis=0), [0.5, 2.5])


def test_user_means_of_nothing():
    means = user_means(np.empty(0, np.int64), np.empty((0, 3)))
    assert means.means.shape == (0, 3)


def test_padding_is_never_a_hit():
    assert np.isinf(target_ranks(np.full((1, 3), PADDING), np.array([0]))).all()
    assert np.isinf(target_ranks(np.empty((2, 0), np.int32), np.array([0, 1]))).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_ndcg_agrees_with_scikit_learn(seed, k):
    rng = np.random.default_rng(seed)
    items = 12
    ranked = np.stack([rng.permutation(items) for _ in range(5)])
    target = rng.integers(0, items, 5)
    relevance = np.eye(items)[target]
    scores = np.empty((5, items))
    np.put_along_axis(scores, ranked, np.arange(items, 0, -1.0)[None, :].repeat(5, 0), axis=1)
    ours = target_metrics(target_ranks(ranked, target), k).ndcg.mean()
    assert ours == pytest.approx(ndcg_score(relevance, scores, k=k))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_order_of_targets_changes_nothing_and_values_are_shares(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 20))
    ranked = np.stack([rng.permutation(9)[:4] for _ in range(n)])
    target, users = rng.integers(0, 9, n), rng.integers(0, 5, n)
    order = rng.permutation(n)
    table = metric_table(ranked, target, [1, 4])
    assert ((table >= 0) & (table <= 1)).all()
    assert (table[:, :3] <= table[:, 3:]).all()
    mean = user_means(users, table).means.mean(axis=0)
    shuffled = user_means(users[order], metric_table(ranked[order], target[order], [1, 4])).means.mean(axis=0)
    np.testing.assert_allclose(mean, shuffled, atol=1e-12)


def test_exposure_metrics_by_hand():
    shown = exposure(np.array([[0, 1], [0, 3], [0, PADDING]]), n_items=4)
    assert shown.tolist() == [3, 1, 0, 1]
    metrics = exposure_metrics(shown, np.array([11, 3, 7, 7]))
    assert metrics.coverage == 0.75
    # Shares 12/32, 4/32, 8/32, 8/32: shown 3 x 1.415 bits, 1 x 3 and 1 x 2.
    assert metrics.novelty == pytest.approx((3 * np.log2(32 / 12) + 3 + 2) / 5)
    # Ascending 0, 1, 1, 3 with weights -3, -1, 1, 3.
    assert metrics.concentration == pytest.approx((-1 + 1 + 9) / (4 * 5))
    assert metrics.popularity == pytest.approx((3 * 11 + 3 + 7) / 5)


def test_nothing_shown_is_fully_concentrated_and_covers_nothing():
    metrics = exposure_metrics(np.zeros(5, np.int64), np.arange(5))
    assert metrics == (0.0, 0.0, 1.0, 0.0)


def test_exposure_and_counts_must_be_of_one_map():
    with pytest.raises(DataError, match="3 items are shown but 4 have training counts"):
        exposure_metrics(np.zeros(3, np.int64), np.zeros(4, np.int64))


@given(COUNTS)
def test_concentration_ignores_order_and_stays_a_share(shown):
    value = concentration(shown)
    assert 0 <= value <= 1
    assert concentration(shown[::-1].copy()) == value


@given(COUNTS)
def test_concentration_is_twice_the_area_above_the_lorenz_curve(shown):
    share, held = lorenz(shown, points=len(shown) + 1)
    assert held[-1] == (1.0 if shown.sum() else 0.0)
    if shown.sum():
        assert concentration(shown) == pytest.approx(1 - 2 * np.trapezoid(held, share), abs=1e-9)


@pytest.mark.parametrize(
    ("ranked", "message"),
    [
        (np.array([[0, 1]]), "expected whole numbers"),
        (np.array([[0.0, 1.0], [1.0, 2.0]]), "expected whole numbers"),
        (np.array([[0, 1], [1, 5]]), "rows 0 to 5 are outside the item map of 5"),
        (np.array([[0, -2], [1, 2]]), "rows -2 to 2 are outside"),
        (np.array([[0, 1], [PADDING, 2]]), "padding stands before an item"),
        (np.array([[0, 1], [3, 3]]), "list 1 holds item row 3 twice"),
    ],
)
def test_unusable_lists_are_refused(ranked, message):
    with pytest.raises(DataError, match=message):
        check_ranked(ranked, targets=2, n_items=5)


def test_short_and_empty_lists_are_usable():
    check_ranked(np.array([[4, PADDING], [PADDING, PADDING]]), targets=2, n_items=5)
    check_ranked(np.empty((0, 10), np.int32), targets=0, n_items=5)
