"""Item vectors by skip-gram with negative sampling, and each item's neighbours among them.

Barkan and Koenigstein, "Item2vec" (2016): the word2vec objective of Mikolov et al. (2013) with items for
words and histories for sentences. An item's neighbours are those whose vectors have the largest cosine.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from slate.config import IndexConfig, Item2VecSourceConfig
from slate.data.sequences import UserLog
from slate.retrieval.index import build_index
from slate.retrieval.sources.meetings import meetings, wanted_items
from slate.retrieval.sources.neighbours import Neighbours, Pairs

_BATCH: Final = 4096
_RATE: Final = 0.1
_POWER: Final = 0.75
_SEARCHED: Final = 1024

Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]


def item2vec(log: UserLog, items: int, events: Sequence[int], config: Item2VecSourceConfig) -> Neighbours:
    """The closest neighbours of each item that met another; the others have none.

    Args:
        log: what may be trained on.
        items: the size of the catalogue.
        events: codes of the interactions that count.
    """
    wanted, users = wanted_items(log, events)
    vectors, known = skip_gram(wanted, users, items, config)
    none = np.empty(0, np.int64)
    if len(known) < 2:
        return Neighbours.closest(items, Pairs(none, none, none.astype(np.float64)), config.neighbours)
    chosen = vectors[known]
    chosen = chosen / np.linalg.norm(chosen, axis=1, keepdims=True)
    count = min(config.neighbours + 1, len(known))
    index = build_index(chosen, [str(row) for row in known], IndexConfig(k=count)).index
    parts: list[tuple[Int64, Int64, Float32]] = []
    for start in range(0, len(known), _SEARCHED):
        found = index.search(chosen[start : start + _SEARCHED], count)
        there = np.arange(found.rows.shape[1]) < found.lengths[:, np.newaxis]
        at = np.repeat(np.arange(len(found)), found.lengths)
        parts.append((known[start + at], known[found.rows[there]], found.scores[there]))
    pairs = Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return Neighbours.closest(items, pairs, config.neighbours)


def skip_gram(wanted: Int64, users: Int64, items: int, config: Item2VecSourceConfig) -> tuple[Float32, Int64]:
    """Vectors float32 [items, dim], and the rows that were trained.

    Every pair of items that meet is to be told from ``negatives`` pairs with items drawn by their count to
    the power of 0.75. Steps are AdaGrad's (Duchi et al., 2011), one accumulator an item.

    Args:
        wanted: catalogue rows in order, one user after the other.
        users: whose each of them is.
    """
    generator = np.random.default_rng(config.seed)
    met = list(meetings(wanted, users, config.window))
    earlier = np.concatenate([pair[0] for pair in met]) if met else np.empty(0, np.int64)
    later = np.concatenate([pair[1] for pair in met]) if met else np.empty(0, np.int64)
    centres, others = np.concatenate([earlier, later]), np.concatenate([later, earlier])
    known = np.unique(centres)
    spread = 0.5 / config.dim
    vectors = generator.uniform(-spread, spread, (items, config.dim)).astype(np.float32)
    contexts = np.zeros((items, config.dim), np.float32)
    sums = np.full((2, items), 1e-8, np.float32)
    if not len(centres):
        return vectors, known
    chances = np.cumsum(np.bincount(others, minlength=items) ** _POWER)
    for _ in range(config.epochs):
        order = generator.permutation(len(centres))
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            drawn = generator.random((len(batch), config.negatives)) * chances[-1]
            negatives = np.searchsorted(chances, drawn, side="right")
            seconds = np.concatenate([others[batch, np.newaxis], negatives], axis=1)
            _learn(vectors, contexts, sums, centres[batch], seconds)
    return vectors, known


def _learn(vectors: Float32, contexts: Float32, sums: Float32, firsts: Int64, seconds: Int64) -> None:
    """One step on firsts [n] and seconds [n, 1 + negatives], of which the first column really met."""
    first, second = vectors[firsts], contexts[seconds]
    error = 1.0 / (1.0 + np.exp(-np.einsum("nd,nmd->nm", first, second)))
    error[:, 0] -= 1.0
    _step(vectors, sums[0], firsts, np.einsum("nm,nmd->nd", error, second))
    slopes = error[:, :, np.newaxis] * first[:, np.newaxis, :]
    _step(contexts, sums[1], seconds.ravel(), slopes.reshape(-1, first.shape[1]))


def _step(table: Float32, sums: Float32, rows: Int64, slopes: Float32) -> None:
    """Move the rows of a table against the sum of their slopes."""
    unique, place = np.unique(rows, return_inverse=True)
    ones = np.ones(len(rows), np.float32)
    gather = sparse.csr_array((ones, (place, np.arange(len(rows)))), shape=(len(unique), len(rows)))
    total = gather @ slopes
    sums[unique] += np.mean(total**2, axis=1)
    table[unique] -= _RATE * total / np.sqrt(sums[unique])[:, np.newaxis]
