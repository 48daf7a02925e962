"""Metrics of ranked lists: accuracy for each target and each user, and what the lists expose.

Successive evaluation predicts one target at a time: target ``i`` is one item, ``ranked[i]`` the list
made from what its user did strictly before it. ``ranked`` is int32 [n, k]: rows of the evaluation's
item map, best first, without repeats, padded with :data:`PADDING` at the end where a ranker found fewer
than ``k`` items. A user's metric is the mean over that user's targets; the reported metric is the mean
over users, so that heavy users do not decide it.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from slate.errors import DataError

Rows = npt.NDArray[np.integer]
Floats = npt.NDArray[np.float64]

#: What fills a ranked list after its last item.
PADDING: Final = -1


class TargetMetrics(NamedTuple):
    """The metrics of each target, float64 [n], all in [0, 1]."""

    recall: Floats
    ndcg: Floats
    mrr: Floats


class UserMeans(NamedTuple):
    """Means by user. ``users`` are the distinct codes in ascending order, ``targets`` counts them."""

    users: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    means: Floats


class ExposureMetrics(NamedTuple):
    """What all lists together show: see the functions of the same names."""

    coverage: float
    novelty: float
    concentration: float
    popularity: float


def check_ranked(ranked: Rows, targets: int, n_items: int) -> None:
    """Refuse a ranked array that would make a metric meaningless.

    Raises:
        DataError: wrong shape or type, a row outside the item map, an item twice in one list, or
            padding before an item.
    """
    if ranked.ndim != 2 or len(ranked) != targets or not np.issubdtype(ranked.dtype, np.integer):
        raise DataError(
            f"ranked: expected whole numbers [{targets}, k], found {ranked.dtype} {list(ranked.shape)}; "
            "a ranker returns one list of item rows a target"
        )
    if ranked.size == 0:
        return
    low, high = int(ranked.min()), int(ranked.max())
    if low < PADDING or high >= n_items:
        raise DataError(
            f"ranked: rows {low} to {high} are outside the item map of {n_items}; "
            f"return rows of that map and pad with {PADDING}"
        )
    filled = ranked != PADDING
    if np.any(filled[:, 1:] & ~filled[:, :-1]):
        raise DataError("ranked: padding stands before an item; padding belongs at the end of a list")
    ordered = np.sort(ranked, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != PADDING)
    if np.any(twice):
        row = int(np.flatnonzero(twice.any(axis=1))[0])
        item = int(ordered[row, 1:][twice[row]][0])
        raise DataError(f"ranked: list {row} holds item row {item} twice; a list names an item once")


def target_ranks(ranked: Rows, target: Rows) -> Floats:
    """The rank of each target in its list, from 1; infinite where the list does not hold it.

    >>> target_ranks(np.array([[7, 3, 5], [2, 4, -1]]), np.array([5, 9])).tolist()
    [3.0, inf]
    """
    found = ranked == np.asarray(target)[:, None]
    if ranked.shape[1] == 0:
        return np.full(len(ranked), np.inf)
    return np.where(found.any(axis=1), found.argmax(axis=1) + 1.0, np.inf)


def target_metrics(ranks: Floats, k: int) -> TargetMetrics:
    """Recall, NDCG and reciprocal rank at ``k`` for single targets, from their ranks [n].

    With one relevant item, recall@k is the hit rate, the ideal DCG is 1, and NDCG@k is
    ``1 / log2(1 + rank)`` (Järvelin and Kekäläinen, 2002); MRR@k is ``1 / rank`` (Voorhees, 1999).
    All are 0 for ranks beyond ``k``.

    >>> target_metrics(np.array([1.0, 3.0, np.inf]), k=3)._asdict()  # doctest: +NORMALIZE_WHITESPACE
    {'recall': array([1., 1., 0.]), 'ndcg': array([1. , 0.5, 0. ]),
     'mrr': array([1.        , 0.33333333, 0.        ])}
    >>> target_metrics(np.array([3.0]), k=2).ndcg.tolist()
    [0.0]
    """
    within = ranks <= k
    return TargetMetrics(
        recall=within.astype(np.float64),
        ndcg=np.where(within, 1.0 / np.log2(1.0 + ranks), 0.0),
        mrr=np.where(within, 1.0 / ranks, 0.0),
    )


def metric_names(ks: Sequence[int]) -> tuple[str, ...]:
    """The column names of :func:`metric_table` in order.

    >>> metric_names([10])
    ('recall@10', 'ndcg@10', 'mrr@10')
    """
    return tuple(f"{name}@{k}" for k in ks for name in TargetMetrics._fields)


def metric_table(ranked: Rows, target: Rows, ks: Sequence[int]) -> Floats:
    """Every metric at every ``k`` for each target: float64 [n, len(ks) * 3], as :func:`metric_names`.

    >>> metric_table(np.array([[4, 8], [1, 0]]), np.array([8, 1]), [1, 2]).round(3).tolist()
    [[0.0, 0.0, 0.0, 1.0, 0.631, 0.5], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]
    """
    ranks = target_ranks(ranked, target)
    return np.stack([column for k in ks for column in target_metrics(ranks, k)], axis=1)


def user_means(users: npt.NDArray[np.integer], values: Floats) -> UserMeans:
    """The mean of each user's targets: ``users`` int [n] codes, ``values`` [n] or [n, m].

    User 4 has targets 1 and 0, user 9 has 1: the users' mean is 0.75, the targets' mean 0.667.

    >>> by_user = user_means(np.array([9, 4, 4]), np.array([1.0, 1.0, 0.0]))
    >>> by_user.users.tolist(), by_user.targets.tolist(), by_user.means.tolist(), by_user.means.mean()
    ([4, 9], [2, 1], [0.5, 1.0], np.float64(0.75))
    """
    codes, inverse, counts = np.unique(users, return_inverse=True, return_counts=True)
    sums = np.zeros((len(codes), *values.shape[1:]))
    np.add.at(sums, inverse, values)
    divisor = counts.reshape(-1, *([1] * (values.ndim - 1)))
    return UserMeans(codes.astype(np.int64), counts.astype(np.int64), sums / divisor)


def exposure(ranked: Rows, n_items: int) -> npt.NDArray[np.int64]:
    """How many lists show each item: int64 [n_items]. Padding shows nothing.

    >>> exposure(np.array([[2, 0], [2, -1]]), n_items=4).tolist()
    [1, 0, 2, 0]
    """
    counts: npt.NDArray[np.int64] = np.bincount(ranked[ranked != PADDING], minlength=n_items).astype(np.int64)
    return counts


def coverage(shown: npt.NDArray[np.int64]) -> float:
    """Catalogue coverage: the share of items that at least one list shows (Ge et al., 2010).

    >>> coverage(np.array([1, 0, 2, 0]))
    0.5
    """
    return float(np.count_nonzero(shown) / len(shown)) if len(shown) else 0.0


def novelty(shown: npt.NDArray[np.int64], train_counts: npt.NDArray[np.int64]) -> float:
    """Mean self-information of what is shown, in bits: ``-log2 p(item)`` (Zhou et al., 2010).

    ``p`` is the item's share of the training interactions, with one added to every count so that an
    item never trained on has a finite surprise (Laplace).

    Shares 4/8, 2/8, 1/8, 1/8 are 1, 2, 3 and 3 bits; showing the first once and the last three times:

    >>> novelty(np.array([1, 0, 0, 3]), np.array([3, 1, 0, 0]))
    2.5
    """
    total = shown.sum()
    if total == 0:
        return 0.0
    share = (train_counts + 1.0) / (train_counts.sum() + len(train_counts))
    return float(np.dot(shown, -np.log2(share)) / total)


def concentration(shown: npt.NDArray[np.int64]) -> float:
    """The Gini coefficient of exposure over the whole catalogue: 0 is even, near 1 is a few items.

    ``sum((2 i - n - 1) x_i) / (n sum(x))`` over ascending ``x`` (Shani and Gunawardana, 2011;
    Fleder and Hosanagar, 2009). Nothing shown counts as fully concentrated, 1.

    >>> concentration(np.array([5, 5, 5, 5])), concentration(np.array([0, 0, 0, 8]))
    (0.0, 0.75)
    >>> concentration(np.array([1, 0, 2, 0]))  # (1 x 1 + 3 x 2) / (4 x 3)
    0.5833333333333334
    """
    n, total = len(shown), int(shown.sum())
    if total == 0:
        return 1.0
    weights = 2.0 * np.arange(1, n + 1) - n - 1
    return float(np.dot(weights, np.sort(shown)) / (n * total))


def popularity(shown: npt.NDArray[np.int64], train_counts: npt.NDArray[np.int64]) -> float:
    """Average recommendation popularity: mean training count of what is shown (Yin et al., 2012).

    >>> popularity(np.array([1, 0, 3]), np.array([10, 7, 2]))
    4.0
    """
    total = shown.sum()
    return float(np.dot(shown, train_counts) / total) if total else 0.0


def exposure_metrics(shown: npt.NDArray[np.int64], train_counts: npt.NDArray[np.int64]) -> ExposureMetrics:
    """All four from exposure and training counts by item row, both int64 [n_items].

    Raises:
        DataError: the two arrays are not of one length.
    """
    if shown.shape != train_counts.shape:
        raise DataError(
            f"exposure: {len(shown)} items are shown but {len(train_counts)} have training counts; "
            "count both over the same item map"
        )
    return ExposureMetrics(
        coverage(shown),
        novelty(shown, train_counts),
        concentration(shown),
        popularity(shown, train_counts),
    )


def lorenz(shown: npt.NDArray[np.int64], points: int = 101) -> tuple[Floats, Floats]:
    """The Lorenz curve of exposure: share of items, least shown first, and their share of exposure.

    >>> share, held = lorenz(np.array([0, 0, 1, 3]), points=5)
    >>> share.tolist(), held.tolist()
    ([0.0, 0.25, 0.5, 0.75, 1.0], [0.0, 0.0, 0.0, 0.25, 1.0])
    """
    share = np.linspace(0.0, 1.0, points)
    held = np.concatenate([[0.0], np.cumsum(np.sort(shown), dtype=np.float64)])
    if held[-1] > 0:
        held /= held[-1]
    return share, np.interp(share, np.linspace(0.0, 1.0, len(held)), held)
