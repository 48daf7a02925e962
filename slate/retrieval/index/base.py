"""What every candidate index can do, and the checks that all of them share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from slate.errors import ModelError

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Ids = npt.NDArray[np.str_]

IndexKind = Literal["exact", "brute_force", "hashed", "tree"]

#: What fills ``rows`` after the last result of a query that found fewer than the others.
PADDING_ROW: Final = -1


@dataclass(frozen=True)
class SearchResult:
    """The best candidates of n queries, best first.

    ``rows`` int32 [n, k] are catalogue rows, ``scores`` float32 [n, k] dot products (higher is
    better), ``lengths`` int32 [n] says how many of each are results. What follows is padding:
    :data:`PADDING_ROW` with a score of minus infinity.
    """

    rows: Int32
    scores: Float32
    lengths: Int32

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, query: int) -> tuple[Int32, Float32]:
        """Rows and scores of one query without padding."""
        length = int(self.lengths[query])
        return self.rows[query, :length], self.scores[query, :length]


class CandidateIndex(ABC):
    """Candidate embeddings that can be searched by dot product. Searching is thread-safe.

    ``ids`` are item ids in index order, which is catalogue order.
    """

    def __init__(self, kind: IndexKind, dim: int, ids: Ids) -> None:
        self.kind = kind
        self.dim = dim
        self.ids = ids

    @property
    def size(self) -> int:
        """The number of candidates."""
        return len(self.ids)

    @property
    @abstractmethod
    def parameters(self) -> Mapping[str, int]:
        """What search depends on besides the embeddings; reopening needs it."""

    @abstractmethod
    def write(self, directory: Path) -> None:
        """Write the searcher's own files into an existing folder."""

    @abstractmethod
    def _search(self, queries: Float32, k: int) -> SearchResult:
        """Search checked queries; 1 <= k <= size."""

    def search(self, queries: Float32, k: int) -> SearchResult:
        """The ``k`` best candidates of each query, all of them where there are fewer.

        Args:
            queries: float32 [n, dim]; n may be 0.
            k: at least 1.

        Raises:
            ModelError: a query is not finite or has another dimension, or k is below 1.
        """
        queries = checked_vectors(queries, self.dim, "query")
        if k < 1:
            raise ModelError(f"search: k is {k}; ask for at least 1 candidate")
        k = min(k, self.size)
        if not len(queries):
            return SearchResult(
                np.empty((0, k), np.int32), np.empty((0, k), np.float32), np.empty(0, np.int32)
            )
        return self._search(queries, k)

    def save(self, directory: str | Path, report: Mapping[str, Any] | None = None) -> None:
        """Write a folder that :func:`~slate.retrieval.index.files.open_index` reads, wherever it is moved.

        ``report`` is what ``index.json`` shall hold besides kind, dim, size and parameters.
        """
        from slate.retrieval.index.files import save_index

        save_index(self, Path(directory), report or {})


def checked_vectors(vectors: Float32, dim: int | None, what: str) -> Float32:
    """The vectors as contiguous float32 [n, dim].

    Raises:
        ModelError: they have another shape, or one is not finite; the message names the first row.
    """
    array = np.ascontiguousarray(vectors, dtype=np.float32)
    if array.ndim != 2 or (dim is not None and array.shape[1] != dim):
        expected = "dim" if dim is None else str(dim)
        raise ModelError(
            f"{what}: expected an array [n, {expected}], found {list(array.shape)}; "
            "use the query tower and the embeddings of one training"
        )
    known = np.isfinite(array)
    if np.count_nonzero(known) < array.size:
        finite = known.all(axis=1)
        row = int(np.argmin(finite))
        raise ModelError(
            f"{what}: row {row} is not finite ({int((~finite).sum())} of {len(array)} are not); "
            "find where the model or its input became NaN, then embed again"
        )
    return array


def checked_ids(ids: Sequence[str] | Ids, size: int) -> Ids:
    """Item ids as a fixed-width unicode array that reads back as it was given.

    Raises:
        ModelError: there are not ``size`` of them, or one cannot be stored unchanged.
    """
    if len(ids) != size:
        raise ModelError(
            f"index: {len(ids)} item ids for {size} embeddings; "
            "use the catalogue that the tower was trained on"
        )
    array: Ids = np.asarray(ids, dtype=np.str_)
    changed = [given for given, kept in zip(ids, array.tolist(), strict=True) if given != kept]
    if changed:
        raise ModelError(
            f"index: item id {str(changed[0])!r} ends in a null character, which cannot be stored; "
            "remove it from the data"
        )
    return array
