"""The rankers every evaluation stands beside: popularity, a first-order Markov chain and EASE.

Each is fitted on training interactions only and ranks from histories. Equal scores are ordered by
popularity, then by item row, so an answer never depends on the order of a file or on threads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from slate.data.sequences import History, UserLog
from slate.errors import DataError, ModelError
from slate.evaluation.metrics import PADDING

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

POPULARITY: Final = "popularity"
MARKOV: Final = "markov"
EASE: Final = "ease"

_BATCH: Final = 512


class Baseline(Protocol):
    """A fitted baseline."""

    def rank(self, histories: Sequence[History], k: int, *, exclude_seen: bool = True) -> Int32:
        """The best ``k`` item rows for each history, int32 [n, k], padded with -1 at the end."""
        ...


@dataclass(frozen=True)
class Positives:
    """The training interactions a baseline learns from, as (user, item) entries in time order."""

    users: Int64
    items: Int32
    n_users: int
    n_items: int

    @classmethod
    def of(cls, log: UserLog, n_items: int, events: Sequence[int] | None = None) -> "Positives":
        """From a log of training rows; ``events`` keeps only those event codes (all by default).

        Raises:
            DataError: an item row lies outside ``n_items``, or nothing is left.
        """
        users = np.repeat(np.arange(len(log.users), dtype=np.int64), np.diff(log.offsets))
        items = log.items
        if events is not None:
            kept = np.isin(log.events, np.asarray(events))
            users, items = users[kept], items[kept]
        if len(items) == 0:
            raise DataError("baselines: no training interactions; check the split and the target events")
        if int(items.max()) >= n_items:
            raise DataError(
                f"baselines: item row {int(items.max())} is outside the {n_items} items; "
                "build the log with the evaluation's item map"
            )
        return cls(users, items, len(log.users), n_items)

    def counts(self) -> Int64:
        """Interactions by item row, int64 [n_items]."""
        return np.bincount(self.items, minlength=self.n_items).astype(np.int64)


@dataclass(frozen=True)
class Popularity:
    """The most interacted-with items, the same for everybody but for what each has seen.

    ``order`` is every item row, int32 [n_items], most popular first.
    """

    order: Int32

    @classmethod
    def fit(cls, positives: Positives) -> "Popularity":
        return cls(np.argsort(-positives.counts(), kind="stable").astype(np.int32))

    def rank(self, histories: Sequence[History], k: int, *, exclude_seen: bool = True) -> Int32:
        ranked = np.full((len(histories), k), PADDING, np.int32)
        for row, history in enumerate(histories):
            seen = np.unique(history.items) if exclude_seen else history.items[:0]
            head = self.order[: k + len(seen)]
            best = head[~np.isin(head, seen)][:k]
            ranked[row, : len(best)] = best
        return ranked


@dataclass(frozen=True)
class Markov:
    """What most often came right after the user's last item, then what is popular.

    Transitions are counted between neighbours of one user's log. Successors of item ``i`` are
    ``successors[offsets[i]:offsets[i + 1]]``, most frequent first.
    """

    offsets: Int64
    successors: Int32
    backoff: Popularity

    @classmethod
    def fit(cls, positives: Positives) -> "Markov":
        n = positives.n_items
        backoff = Popularity.fit(positives)
        same = positives.users[1:] == positives.users[:-1]
        before, after = positives.items[:-1][same].astype(np.int64), positives.items[1:][same]
        pairs, counts = np.unique(before * n + after, return_counts=True)
        before, after = pairs // n, pairs % n
        place = np.empty(n, np.int64)
        place[backoff.order] = np.arange(n)
        order = np.lexsort((place[after], -counts, before))
        offsets = np.zeros(n + 1, np.int64)
        np.cumsum(np.bincount(before, minlength=n), out=offsets[1:])
        return cls(offsets, after[order].astype(np.int32), backoff)

    def rank(self, histories: Sequence[History], k: int, *, exclude_seen: bool = True) -> Int32:
        ranked = np.full((len(histories), k), PADDING, np.int32)
        for row, history in enumerate(histories):
            items = history.items
            last = int(items[-1]) if len(items) else None
            follow = (
                self.successors[:0]
                if last is None
                else self.successors[self.offsets[last] : self.offsets[last + 1]]
            )
            seen = np.unique(items) if exclude_seen else items[:0]
            first = follow[~np.isin(follow, seen)][:k]
            head = self.backoff.order[: k + len(seen) + len(first)]
            rest = head[~np.isin(head, np.concatenate([seen, first]))]
            best = np.concatenate([first, rest])[:k]
            ranked[row, : len(best)] = best
        return ranked


@dataclass(frozen=True)
class Ease:
    """Embarrassingly shallow autoencoder (Steck, WWW 2019): item weights in closed form.

    With binary ``X`` [users, items] and ``P = (X'X + regularisation I)^-1``, the weights are
    ``B = I - P / diag(P)`` with a zero diagonal; a history's scores are the sum of its rows of ``B``.
    ``weights`` is float64 [n_items, n_items].
    """

    weights: Floats
    place: Int64

    @classmethod
    def fit(cls, positives: Positives, regularisation: float = 300.0) -> "Ease":
        from scipy.sparse import csr_array

        seen = csr_array(
            (np.ones(len(positives.items)), (positives.users, positives.items)),
            shape=(positives.n_users, positives.n_items),
        )
        seen.sum_duplicates()
        seen.data[:] = 1.0
        gram: Floats = (seen.T @ seen).toarray()
        gram[np.diag_indices_from(gram)] += regularisation
        inverse = np.linalg.inv(gram)
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0.0)
        place = np.empty(positives.n_items, np.int64)
        place[Popularity.fit(positives).order] = np.arange(positives.n_items)
        return cls(weights, place)

    def rank(self, histories: Sequence[History], k: int, *, exclude_seen: bool = True) -> Int32:
        ranked = np.full((len(histories), k), PADDING, np.int32)
        for start in range(0, len(histories), _BATCH):
            batch = histories[start : start + _BATCH]
            lengths = [len(h.items) for h in batch]
            rows = np.repeat(np.arange(len(batch)), lengths)
            items = np.concatenate([h.items for h in batch]) if batch else np.empty(0, np.int32)
            seen = np.zeros((len(batch), len(self.place)))
            seen[rows, items] = 1.0
            scores = seen @ self.weights
            if exclude_seen:
                scores[rows, items] = -np.inf
            ranked[start : start + len(batch)] = best_rows(scores, k, self.place)
        return ranked


def best_rows(scores: Floats, k: int, place: Int64 | None = None) -> Int32:
    """The ``k`` best columns of each row, best first, padded with -1; ``-inf`` is never taken.

    Exact under ties: equal scores are ordered by ``place`` [columns], ascending (the column by default).
    NaN counts as the worst and is never taken.

    >>> best_rows(np.array([[0.5, np.nan, 0.9, 0.5], [-np.inf, 1.0, -np.inf, -np.inf]]), k=3).tolist()
    [[2, 0, 3], [1, -1, -1]]
    """
    n, width = scores.shape
    scores = np.where(np.isnan(scores), -np.inf, scores)
    place = np.arange(width) if place is None else place
    ranked = np.full((n, k), PADDING, np.int32)
    if width == 0 or k == 0:
        return ranked
    kth = np.partition(scores, max(width - k, 0), axis=1)[:, max(width - k, 0)]
    for row in range(n):
        mine = scores[row]
        candidates = np.flatnonzero((mine >= kth[row]) & (mine > -np.inf))
        best = candidates[np.lexsort((place[candidates], -mine[candidates]))][:k]
        ranked[row, : len(best)] = best
    return ranked


@dataclass(frozen=True)
class Baselines:
    """The fitted baselines by name, and why any was left out."""

    models: Mapping[str, Baseline]
    skipped: Mapping[str, str] = field(default_factory=dict)


def fit_baselines(
    log: UserLog,
    n_items: int,
    *,
    events: Sequence[int] | None = None,
    ease_regularisation: float = 300.0,
    ease_item_limit: int = 10_000,
) -> Baselines:
    """Fit all three on a log that holds training rows only.

    ``events`` are the event codes that count as positive (all by default). EASE inverts a dense
    [n_items, n_items] matrix in float64, so above ``ease_item_limit`` items it is left out, and the
    reason kept.

    Raises:
        DataError: no positive interaction, or items outside ``n_items``.
        ModelError: ``ease_regularisation`` is not positive.
    """
    if not ease_regularisation > 0:
        raise ModelError(
            f"evaluation.ease_regularisation: {ease_regularisation} is not positive; use for example 300"
        )
    positives = Positives.of(log, n_items, events)
    models: dict[str, Baseline] = {
        POPULARITY: Popularity.fit(positives),
        MARKOV: Markov.fit(positives),
    }
    if n_items > ease_item_limit:
        return Baselines(
            models,
            {
                EASE: f"{n_items:,} items are more than evaluation.ease_item_limit = {ease_item_limit:,}: "
                f"its dense matrix would take {8 * n_items**2 / 2**30:,.1f} GiB"
            },
        )
    models[EASE] = Ease.fit(positives, ease_regularisation)
    return Baselines(models)
