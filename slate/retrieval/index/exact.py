"""Exact search with NumPy: the oracle of every other index."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from slate.retrieval.index.base import (
    CandidateIndex,
    Float32,
    Ids,
    Int32,
    SearchResult,
    checked_ids,
    checked_vectors,
)

VECTORS_FILE: Final = "vectors.npy"
_SCORES_AT_ONCE: Final = 1 << 24


class ExactIndex(CandidateIndex):
    """Scores every candidate. Equal scores are ordered by row, so answers are reproducible.

    >>> vectors = np.array([[1, 0], [0, 2], [2, 1]], np.float32)
    >>> found = ExactIndex(vectors, ["a", "b", "c"]).search(np.array([[1, 1]], np.float32), 2)
    >>> found.rows.tolist(), found.scores.tolist()
    ([[2, 1]], [[3.0, 2.0]])
    """

    def __init__(self, vectors: Float32, ids: Sequence[str] | Ids) -> None:
        self.vectors = checked_vectors(vectors, None, "candidate embeddings")
        super().__init__("exact", self.vectors.shape[1], checked_ids(ids, len(self.vectors)))

    @property
    def parameters(self) -> Mapping[str, int]:
        return {}

    def write(self, directory: Path) -> None:
        np.save(directory / VECTORS_FILE, self.vectors)

    def _search(self, queries: Float32, k: int) -> SearchResult:
        rows = np.empty((len(queries), k), np.int32)
        scores = np.empty((len(queries), k), np.float32)
        chunk = max(1, _SCORES_AT_ONCE // self.size)
        for start in range(0, len(queries), chunk):
            products = queries[start : start + chunk] @ self.vectors.T
            for offset, row in enumerate(products):
                best = top_rows(row, k)
                rows[start + offset], scores[start + offset] = best, row[best]
        return SearchResult(rows, scores, np.full(len(queries), k, np.int32))


def top_rows(scores: Float32, k: int) -> Int32:
    """The rows of the ``k`` highest scores, best first, equal scores by row.

    >>> top_rows(np.array([1, 3, 3, 5, 3], np.float32), 3).tolist()
    [3, 1, 2]
    """
    threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
    above = np.flatnonzero(scores > threshold)
    equal = np.flatnonzero(scores == threshold)[: k - len(above)]
    rows = np.concatenate([above, equal])
    return rows[np.lexsort((rows, -scores[rows]))].astype(np.int32)
