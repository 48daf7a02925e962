"""Ranking metrics against hand-worked lists."""

import numpy as np
import pytest

from slate.ranking.metrics import (
    Bin,
    Lists,
    best_threshold,
    calibration_bins,
    calibration_error,
    classification,
    list_metrics,
    ndcg,
    value_metrics,
)

LABELS = np.array([False, True, False, True, False])
PROBABILITIES = np.array([0.1, 0.4, 0.5, 0.8, 0.2])


def test_classification_by_hand() -> None:
    found = classification(LABELS, PROBABILITIES, PROBABILITIES / 2, threshold=0.5)
    # Positives 0.4 and 0.8 against 0.1, 0.5 and 0.2: five of six pairs in order.
    assert found["auc"] == pytest.approx(5 / 6)
    assert found["confusion"] == {"tn": 2, "fp": 1, "fn": 1, "tp": 1}
    assert (found["precision"], found["recall"], found["f1"]) == (0.5, 0.5, 0.5)
    wanted = -np.mean(np.log([0.9, 0.4, 0.5, 0.8, 0.8]))
    assert found["log_loss"] == pytest.approx(wanted)
    assert found["log_loss_constant"] == pytest.approx(-(0.4 * np.log(0.4) + 0.6 * np.log(0.6)))
    assert (found["rows"], found["positives"]) == (5, 2)


@pytest.mark.parametrize("labels", [np.zeros(3, bool), np.ones(3, bool), np.zeros(0, bool)])
def test_one_class_or_nothing_leaves_metrics_undefined_not_nan(labels: np.ndarray) -> None:
    found = classification(labels, np.full(len(labels), 0.3), np.full(len(labels), 0.6), None)
    assert found["auc"] is None
    assert found["f1"] is None
    numbers = [v for v in found.values() if isinstance(v, float)]
    assert np.isfinite(numbers).all()


def test_calibration_by_hand() -> None:
    labels = np.array([False, True, True, True, False, False])
    probabilities = np.array([0.5, 0.5, 0.5, 0.5, 0.1, 0.1])
    bins = calibration_bins(labels, probabilities, bins=2)
    assert sorted(bins) == [Bin(0.1, 0.0, 2), Bin(0.5, 0.75, 4)]
    assert calibration_error(bins) == pytest.approx((2 * 0.1 + 4 * 0.25) / 6)
    assert calibration_bins(labels[:0], probabilities[:0]) == []
    assert calibration_error([]) == 0.0


def test_the_threshold_maximises_f1() -> None:
    # At 0.4: two right of three said, F1 0.8; at 0.8: one right of one said, F1 2/3.
    assert best_threshold(LABELS, PROBABILITIES) == 0.4
    assert best_threshold(np.zeros(4, bool), np.linspace(0, 1, 4)) is None


def test_ndcg_by_hand_ignores_padding_and_lists_without_a_gain() -> None:
    gains = np.array([[0, 1, 0], [0, 0, 0], [1, 0, 9]])
    scores = np.array([[0.9, 0.5, 0.1], [1, 2, 3], [-5.0, -4.0, 99]])
    present = np.array([[True, True, True], [True, True, True], [True, True, False]])
    # Both lists that count put their gain second.
    assert ndcg(gains, scores, present) == pytest.approx(1 / np.log2(3))
    assert ndcg(gains[1:2], scores[1:2], present[1:2]) is None


def test_the_value_beside_the_constant_by_hand() -> None:
    found = value_metrics(np.array([1.0, 3.0, np.nan]), np.array([2.0, 5.0, 7.0]), constant=2.0)
    assert found == {
        "rows": 2,
        "rmse": pytest.approx(np.sqrt(2.5)),
        "mae": 1.5,
        "rmse_constant": 1.0,
        "mae_constant": 1.0,
    }
    assert value_metrics(np.array([np.nan]), np.array([2.0]), constant=2.0) is None


def test_lists_of_two_events_by_hand() -> None:
    lists = Lists(
        present=np.array([[True, True, True], [True, True, False]]),
        labels=np.array(
            [[[False, False], [True, False], [False, False]], [[False, True], [False, False], [True, True]]]
        ),
        interacted=np.array([[False, True, False], [True, False, True]]),
        probabilities=np.array(
            [[[0.1, 0.1, 0.2], [0.6, 0.2, 0.7], [0.1, 0, 0.1]], [[0.1, 0.4, 0.5], [0, 0, 0.1], [9, 9, 9]]]
        ),
        uncorrected=np.full((2, 3, 3), 0.5),
        scores=np.array([[0.2, 0.9, 0.1], [0.1, 0.3, 9.0]]),
    )
    found = list_metrics(lists, ("like", "hide"), np.array([2.0, -1.0]), lists)
    like, hide = found["events"]["like"], found["events"]["hide"]
    assert (like["rows"], like["positives"], like["auc"]) == (5, 1, 1.0)
    assert (hide["positives"], hide["threshold"]) == (1, 0.4)
    assert like["auc_given_interaction"] == 1.0
    assert found["interaction"]["positives"] == 2
    # First list: first by score, second by retrieval. Second list: second by score, first by retrieval.
    both = (1 + 1 / np.log2(3)) / 2
    assert found["ndcg"] == found["retrieval_ndcg"] == pytest.approx(both)
    # A hide is worth nothing, so only the first list counts.
    assert found["weighted_ndcg"] == pytest.approx(1.0)
    assert found["retrieval_weighted_ndcg"] == pytest.approx(1 / np.log2(3))
