"""NDCG@k of a retrieval model over the whole catalogue, for early stopping."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from slate.data.features import EncodedArray, FeatureSpace
from slate.data.sequences import UserLog
from slate.retrieval.query import Query, encode_queries

Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]

K: Final = 10


@dataclass(frozen=True)
class RankedTargets:
    """Targets, each to be predicted from what its user did before it.

    ``items`` are the catalogue rows to find, ``users`` the user of each, ``seen_query`` and
    ``seen_item`` the pairs that are excluded from the ranking.
    """

    queries: tuple[Query, ...]
    items: Int64
    users: Int64
    seen_query: Int64
    seen_item: Int64

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def sample(
        cls,
        log: UserLog,
        entries: Int64,
        users: Mapping[str, Mapping[str, object]],
        limit: int,
        seed: int,
        *,
        successive: bool = True,
    ) -> "RankedTargets":
        """At most ``limit`` of the log's ``entries``; items that their user had before are left out.

        ``successive`` histories end strictly before the target's instant; the others hold everything
        before the target in the user's order, ties included, as leave-last-out does.
        """
        order = np.random.default_rng(seed).permutation(entries)
        queries: list[Query] = []
        chosen: list[int] = []
        for entry in order.tolist():
            if len(chosen) == limit:
                break
            user = int(np.searchsorted(log.offsets, entry, side="right")) - 1
            history = log.history(user, before=int(log.times[entry])) if successive else log.until(entry)
            if np.any(history.items == log.items[entry]):
                continue
            context = {name: values[entry] for name, values in log.context.items()}
            queries.append(Query(history, int(log.times[entry]), users.get(log.users.ids[user], {}), context))
            chosen.append(entry)
        picked = np.asarray(chosen, dtype=np.int64)
        sizes = [len(query.history.items) for query in queries]
        seen = [query.history.items for query in queries]
        return cls(
            tuple(queries),
            log.items[picked].astype(np.int64),
            np.searchsorted(log.offsets, picked, side="right") - 1,
            np.repeat(np.arange(len(queries)), sizes),
            np.concatenate(seen).astype(np.int64) if seen else np.empty(0, np.int64),
        )

    def encode(self, features: FeatureSpace, length: int) -> list[dict[str, EncodedArray]]:
        """The queries' inputs in chunks of 256."""
        return [
            encode_queries(self.queries[start : start + 256], features, length)
            for start in range(0, len(self), 256)
        ]

    def ranks(self, queries: Float32, table: Float32) -> Int64:
        """The rank of each target, from 1, among the unseen items of the whole catalogue.

        ``queries`` is [n, dim] and ``table`` [items, dim]. An equal score, and one that is not
        finite, counts against the target.
        """
        ranks = np.empty(len(self), np.int64)
        for start in range(0, len(self), 256):
            stop = min(start + 256, len(self))
            scores = queries[start:stop] @ table.T
            own = scores[np.arange(stop - start), self.items[start:stop]]
            pairs = slice(*np.searchsorted(self.seen_query, [start, stop]))
            scores[self.seen_query[pairs] - start, self.seen_item[pairs]] = -np.inf
            ranks[start:stop] = np.sum(~(scores < own[:, np.newaxis]), axis=1)
        return np.maximum(ranks, 1)

    def ndcg(self, ranks: Int64, k: int = K) -> float:
        """The mean over users of their mean NDCG@k; with one target it is 1 / log2(1 + rank)."""
        return self.mean_over_users(self.gains(ranks, k))

    def gains(self, ranks: Int64, k: int = K) -> npt.NDArray[np.float64]:
        """NDCG@k of each target, float64 [n]."""
        return np.where(ranks <= k, 1.0 / np.log2(1.0 + ranks), 0.0)

    def mean_over_users(self, values: npt.NDArray[np.float64]) -> float:
        """The mean over users of each user's mean."""
        return float(np.mean(self.user_means(values))) if len(self) else 0.0

    def user_means(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Each user's mean, float64 [users], in the order of the log's users."""
        _, codes = np.unique(self.users, return_inverse=True)
        return np.bincount(codes, values) / np.bincount(codes)
