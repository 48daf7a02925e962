"""Negatives for training, the rate at which each could have been drawn, and the correction for it."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from slate.config import RankingConfig
from slate.ranking.occasions import Occasions, Pools

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_REDRAWS: Final = 10


def corrected(probability: npt.ArrayLike, rate: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The probability among all candidates, from the one learnt with a sample of the negatives.

    ``q = p / (p + (1 - p) / w)``, where ``w`` is the rate at which negatives were kept: sampling divides
    the odds by ``w`` (He et al., 2014, Practical Lessons from Predicting Clicks on Ads at Facebook,
    section 6.3). The same as adding ``log w`` to the logit, which is how the model is trained: its own
    logit is the corrected one, and ``log w`` of each row is taken off it for the loss.

    >>> corrected([0.5, 0.2], 0.25).round(4).tolist()
    [0.2, 0.0588]
    """
    p, w = np.asarray(probability, np.float64), np.asarray(rate, np.float64)
    return np.asarray(p / (p + (1.0 - p) / w))


def odds_divided(probability: npt.ArrayLike, rate: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The inverse of :func:`corrected`: what a model learns when negatives are kept at this rate.

    >>> odds_divided([0.2, 0.0588], 0.25).round(2).tolist()
    [0.5, 0.2]
    """
    return corrected(probability, 1.0 / np.asarray(rate, np.float64))


class Scored(NamedTuple):
    """Catalogue rows with what retrieval says of them, each [n, m]; see :meth:`Sampler.score`."""

    scores: Float32
    ranks: Float32
    rates: Float32


@dataclass(frozen=True)
class Samples:
    """Training rows: x groups of one positive, in column 0, and its negatives.

    ``query`` int64 [x] and ``positive`` int64 [x] point into the occasions. ``rows`` int32
    [x, 1 + negatives] are catalogue rows; ``present`` is False where no negative could be found.
    ``rates`` say how many times a row is expected to be drawn as a negative of this query over all groups
    of the query, also for the positive itself.
    """

    query: Int64
    positive: Int64
    rows: Int32
    present: Mask
    scores: Float32
    ranks: Float32
    rates: Float32

    def __len__(self) -> int:
        return len(self.query)


class Sampler:
    """Draws negatives: most from the candidates of the same query, some from the whole catalogue.

    What a user had seen, and what the query's positives are, is never drawn.
    """

    def __init__(
        self, occasions: Occasions, pools: Pools, embeddings: Float32, config: RankingConfig
    ) -> None:
        self._occasions, self._pools, self._embeddings = occasions, pools, embeddings
        self._size = len(embeddings)
        self._uniform = max(1, round(config.negatives * config.uniform_negatives))
        self._hard = config.negatives - self._uniform
        positives = np.diff(occasions.offsets)
        owners = np.repeat(np.arange(len(occasions)), positives)
        self._owners = owners
        self._positives = positives
        self._positive_keys = np.sort(owners * self._size + occasions.items)
        seen_counts = [len(seen) for seen in occasions.seen]
        seen_keys = np.repeat(np.arange(len(occasions)), seen_counts) * self._size
        seen_items = np.concatenate(occasions.seen) if occasions.seen else np.empty(0, np.int32)
        self._forbidden = np.unique(np.concatenate([self._positive_keys, seen_keys + seen_items]))
        self._open = self._size - np.bincount(self._forbidden // self._size, minlength=len(occasions))
        inside = pools.rows >= 0
        queries = np.arange(len(occasions))[:, np.newaxis]
        self._drawable = inside & ~_among(queries * self._size + pools.rows, self._positive_keys)
        self._hard_taken = np.minimum(self._drawable.sum(axis=1), self._hard)
        where = np.nonzero(inside)
        self._pool_keys = np.sort(where[0] * self._size + pools.rows[where])

    @property
    def candidates(self) -> int:
        """The mean number of candidates a query."""
        return round(float(self._pools.lengths.mean())) if len(self._occasions) else 0

    def draw(self, rng: np.random.Generator, queries: Int64) -> Samples:
        """One group for every positive of the given queries."""
        chosen = np.flatnonzero(np.isin(self._owners, queries))
        owners = self._owners[chosen]
        hard, hard_present = self._draw_hard(rng, owners)
        uniform, uniform_present = self._draw_uniform(rng, owners)
        rows = np.concatenate([self._occasions.items[chosen, np.newaxis], hard, uniform], axis=1)
        present = np.concatenate([np.ones((len(chosen), 1), np.bool_), hard_present, uniform_present], axis=1)
        scored = self.score(owners, rows)
        return Samples(owners, chosen, rows.astype(np.int32), present, *scored)

    def pool_rates(self, queries: Int64) -> Float32:
        """The rate of a drawable candidate of each query, float32 [n]; see :meth:`score`."""
        candidates = np.maximum(self._drawable.sum(axis=1), 1)
        rates = self._positives * (self._hard_taken / candidates + self._uniform / np.maximum(self._open, 1))
        return np.maximum(rates[queries], 1e-12).astype(np.float32)

    def score(self, queries: Int64, rows: Int32) -> Scored:
        """Retrieval scores, ranks and sampling rates of catalogue rows [n, m] for n queries.

        The rank is how many of the query's candidates have a higher score. The rate is ``P (h / H + u /
        U)`` for one of the ``H`` drawable candidates and ``P u / U`` for other items, with ``P`` groups a
        query, ``h`` negatives drawn from its candidates and ``u`` from its ``U`` items neither seen nor
        positive. A positive has the rate of its place, as if it were a negative.
        """
        vectors = self._pools.embeddings[queries]
        scores = np.einsum("nd,nmd->nm", vectors, self._embeddings[rows]).astype(np.float32)
        ranks = (
            np.stack(
                [
                    np.sum(self._pools.scores[query] > own[:, np.newaxis], axis=1)
                    for query, own in zip(queries, scores, strict=True)
                ]
            )
            if len(queries)
            else np.zeros(scores.shape)
        )
        candidates = np.maximum(self._drawable.sum(axis=1), 1)[queries]
        in_pool = _among(queries[:, np.newaxis] * self._size + rows, self._pool_keys)
        uniform = self._uniform / np.maximum(self._open[queries], 1)
        hard = self._hard_taken[queries] / candidates
        rates = self._positives[queries][:, np.newaxis] * (
            uniform[:, np.newaxis] + in_pool * hard[:, np.newaxis]
        )
        return Scored(scores, ranks.astype(np.float32), np.maximum(rates, 1e-12).astype(np.float32))

    def _draw_hard(self, rng: np.random.Generator, owners: Int64) -> tuple[Int32, Mask]:
        """Without replacement from each query's candidates."""
        count = min(self._hard, self._pools.rows.shape[1])
        if count == 0 or not len(owners):
            return np.zeros((len(owners), 0), np.int32), np.zeros((len(owners), 0), np.bool_)
        keys = rng.random((len(owners), self._pools.rows.shape[1]), dtype=np.float32)
        keys[~self._drawable[owners]] = 2.0
        places = np.argpartition(keys, count - 1, axis=1)[:, :count]
        present = np.take_along_axis(keys, places, axis=1) < 2.0
        rows = np.take_along_axis(self._pools.rows[owners], places, axis=1)
        return np.where(present, rows, 0).astype(np.int32), present

    def _draw_uniform(self, rng: np.random.Generator, owners: Int64) -> tuple[Int32, Mask]:
        """With replacement from what is neither seen nor positive, by redrawing what is."""
        shape = (len(owners), self._uniform)
        rows = rng.integers(0, self._size, shape, dtype=np.int64)
        offsets = owners[:, np.newaxis] * self._size
        refused = _among(offsets + rows, self._forbidden)
        for _ in range(_REDRAWS):
            if not refused.any():
                break
            rows[refused] = rng.integers(0, self._size, int(refused.sum()))
            refused = _among(offsets + rows, self._forbidden)
        return rows.astype(np.int32), ~refused


def _among(keys: Int64, ordered: Int64) -> Mask:
    """Which keys are in an ascending array."""
    if not len(ordered):
        return np.zeros(keys.shape, np.bool_)
    places = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
    found: Mask = ordered[places] == keys
    return found
