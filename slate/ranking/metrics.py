"""How good the ranking model is, measured on whole candidate lists, as it will be used."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sk

Floats = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

K: Final = 10
_BINS: Final = 10
_TINY: Final = 1e-7


class Bin(NamedTuple):
    """Candidates of similar predicted probability: its mean, how often it happened, and how many they are."""

    predicted: float
    observed: float
    rows: int


@dataclass(frozen=True)
class Lists:
    """Ranked requests: n lists of up to c candidates, retrieval's best first.

    ``present`` bool [n, c]; ``labels`` bool [n, c, events] what followed; ``interacted`` bool [n, c];
    ``probabilities`` float [n, c, events + 1], the last of any interaction; ``uncorrected`` likewise, as
    learnt from sampled negatives;
    ``scores`` float [n, c] what the ranker orders by.
    """

    present: Mask
    labels: Mask
    interacted: Mask
    probabilities: Floats
    uncorrected: Floats
    scores: Floats


def calibration_bins(labels: Mask, probabilities: Floats, bins: int = _BINS) -> list[Bin]:
    """Bins of equal counts, by ascending probability; equal probabilities stay together.

    >>> calibration_bins(np.array([False, False, True, True]), np.array([0.1, 0.3, 0.6, 0.8]), bins=2)
    [Bin(predicted=0.2, observed=0.0, rows=2), Bin(predicted=0.7, observed=1.0, rows=2)]
    """
    if not len(labels):
        return []
    distinct = np.unique(probabilities)
    # Few distinct values are bins of their own; quantiles would throw neighbours together.
    edges = distinct[1:] if len(distinct) <= bins else np.quantile(probabilities, np.arange(1, bins) / bins)
    codes = np.searchsorted(np.unique(edges), probabilities, side="right")
    found = []
    for code in np.unique(codes):
        mine = codes == code
        found.append(
            Bin(
                round(float(probabilities[mine].mean(dtype=np.float64)), 9),
                float(labels[mine].mean()),
                int(mine.sum()),
            )
        )
    return found


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error (Guo et al., 2017): mean distance of rate and prediction, by count.

    >>> round(calibration_error([Bin(0.2, 0.0, 1), Bin(0.7, 1.0, 3)]), 3)
    0.275
    """
    total = sum(each.rows for each in bins)
    return sum(each.rows * abs(each.observed - each.predicted) for each in bins) / total if total else 0.0


def best_threshold(labels: Mask, probabilities: Floats) -> float | None:
    """The threshold with the highest F1; None without a positive.

    >>> best_threshold(np.array([False, True, False, True]), np.array([0.1, 0.4, 0.3, 0.9]))
    0.4
    """
    if not labels.any():
        return None
    precision, recall, thresholds = sk.precision_recall_curve(labels, probabilities)
    total = precision + recall
    f1 = 2 * precision * recall / np.where(total > 0, total, 1.0)
    return float(thresholds[int(np.argmax(f1[:-1]))])


def classification(
    labels: Mask, probabilities: Floats, uncorrected: Floats, threshold: float | None
) -> dict[str, Any]:
    """One event's metrics over candidates; a metric that is not defined is None.

    ``log_loss_constant`` is what predicting the base rate everywhere would get.
    """
    bins = calibration_bins(labels, probabilities)
    before = calibration_bins(labels, uncorrected)
    report: dict[str, Any] = {
        "rows": len(labels),
        "positives": int(labels.sum()),
        "calibration": [each._asdict() for each in bins],
        "calibration_error": calibration_error(bins),
        "calibration_uncorrected": [each._asdict() for each in before],
        "calibration_error_uncorrected": calibration_error(before),
        "threshold": threshold,
    }
    both = bool(labels.any() and not labels.all())
    clipped = np.clip(probabilities.astype(np.float64), _TINY, 1 - _TINY)
    report["auc"] = float(sk.roc_auc_score(labels, probabilities)) if both else None
    report["log_loss"] = float(sk.log_loss(labels, clipped, labels=[False, True])) if len(labels) else None
    report["log_loss_constant"] = _entropy(labels.mean()) if len(labels) else None
    if threshold is None or not len(labels):
        return report | {"f1": None, "precision": None, "recall": None, "confusion": None}
    said = probabilities >= threshold
    (tn, fp), (fn, tp) = sk.confusion_matrix(labels, said, labels=[False, True]).tolist()
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        labels, said, average="binary", zero_division=0.0
    )
    return report | {
        "f1": float(f1),
        "precision": float(precision),
        "recall": float(recall),
        "confusion": {"tn": tn, "fp": fp, "fn": fn, "tp": tp},
    }


def _entropy(rate: float) -> float:
    """The log loss of predicting ``rate`` where it is the rate: what nobody who knows no more gets below."""
    p = float(np.clip(rate, _TINY, 1 - _TINY))
    return -float(rate * math.log(p) + (1 - rate) * math.log1p(-p))


def ndcg(gains: Floats, scores: Floats, present: Mask, k: int = K) -> float | None:
    """Mean NDCG@k of lists that hold a gain above 0; None where none does.

    Args:
        gains: float [n, c].
        scores: float [n, c], higher first.
        present: bool [n, c], False on padding.
    """
    wanted = np.where(present, np.maximum(gains, 0.0), 0.0)
    rows = wanted.any(axis=1)
    if not rows.any() or gains.shape[1] < 2:
        return None
    lowest = scores[present].min() - 1.0
    ordered = np.where(present, scores, lowest)
    return float(sk.ndcg_score(wanted[rows], ordered[rows], k=k))


def list_metrics(lists: Lists, events: tuple[str, ...], weights: Floats, thresholds: Lists) -> dict[str, Any]:
    """Everything measured on lists: per event, of any interaction, and of the order.

    Args:
        lists: the requests reported on.
        events: names in order.
        weights: float [events], what each is worth.
        thresholds: other requests, on which thresholds are chosen.
    """

    def one(event: int | None) -> dict[str, Any]:
        labels, probabilities, uncorrected = _flat(lists, event)
        threshold = best_threshold(*_flat(thresholds, event)[:2])
        return classification(labels, probabilities, uncorrected, threshold)

    retrieval = -np.broadcast_to(np.arange(lists.present.shape[1], dtype=np.float64), lists.present.shape)
    gains: Floats = lists.interacted.astype(np.float64)
    worth: Floats = lists.labels.astype(np.float64) @ np.maximum(weights, 0.0)
    by_event: dict[str, Mapping[str, Any]] = {}
    for number, name in enumerate(events):
        by_event[name] = one(number) | {"auc_given_interaction": _auc_given_interaction(lists, number)}
    return {
        "events": by_event,
        "interaction": one(None),
        "lists": len(lists.present),
        "ndcg": ndcg(gains, lists.scores, lists.present),
        "retrieval_ndcg": ndcg(gains, retrieval, lists.present),
        "weighted_ndcg": ndcg(worth, lists.scores, lists.present),
        "retrieval_weighted_ndcg": ndcg(worth, retrieval, lists.present),
    }


def value_metrics(values: Floats, predicted: Floats, constant: float) -> dict[str, float] | None:
    """RMSE and MAE of the value head on interactions, beside always predicting ``constant``."""
    known = np.isfinite(values)
    if not known.any():
        return None
    truth, guess = values[known], predicted[known]
    flat = np.full(len(truth), constant)
    return {
        "rows": int(known.sum()),
        "rmse": float(sk.root_mean_squared_error(truth, guess)),
        "mae": float(sk.mean_absolute_error(truth, guess)),
        "rmse_constant": float(sk.root_mean_squared_error(truth, flat)),
        "mae_constant": float(sk.mean_absolute_error(truth, flat)),
    }


def _flat(lists: Lists, event: int | None) -> tuple[Mask, Floats, Floats]:
    """Labels and probabilities of the candidates of all lists; of any interaction without an event."""
    here = lists.present
    if event is None:
        return lists.interacted[here], lists.probabilities[here][:, -1], lists.uncorrected[here][:, -1]
    columns = lists.labels[here][:, event], lists.probabilities[here][:, event]
    return *columns, lists.uncorrected[here][:, event]


def _auc_given_interaction(lists: Lists, event: int) -> float | None:
    """Does the model tell this event from the others, among what was interacted with?"""
    here = lists.present & lists.interacted
    labels = lists.labels[here][:, event]
    if not labels.any() or labels.all():
        return None
    share = lists.probabilities[here][:, event] / np.maximum(lists.probabilities[here][:, -1], _TINY)
    return float(sk.roc_auc_score(labels, share))
