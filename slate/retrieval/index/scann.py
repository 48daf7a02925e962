"""Search with ScaNN (Guo et al., 2020), through its pybind searcher. Searchers are rebuilt, never edited."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from slate.retrieval.index.base import (
    PADDING_ROW,
    CandidateIndex,
    Float32,
    Ids,
    SearchResult,
    checked_ids,
    checked_vectors,
)

Structure = Literal["brute_force", "hashed", "tree"]

#: Hashing learns 16 codes a block and a tree its centres; below this there is nothing to learn from.
SMALLEST_LEARNED: Final = 256
#: A tree has so many leaves for each square root of the catalogue, and learns them from so many candidates
#: each. Of a million candidates, learnt from 50 each, four times as many had to be looked at.
_LEAVES: Final = 2
_SAMPLED_A_LEAF: Final = 125
_ANISOTROPIC_THRESHOLD: Final = 0.2
_DIMENSIONS_PER_BLOCK: Final = 2
#: Leaves looked at hold at least so many times the results asked for, were they of one size.
_LEAF_RESERVE: Final = 2


class ScannIndex(CandidateIndex):
    """A ScaNN searcher over dot products.

    ``structure`` is brute force, asymmetric hashing with reordering, or a tree with both.
    ``reorder`` candidates are scored exactly and ``leaves`` of the tree are looked at when
    ``tuned_k`` results are asked for; a search for more looks at more in proportion.
    """

    def __init__(
        self,
        searcher: Any,
        dim: int,
        ids: Ids,
        structure: Structure,
        *,
        num_leaves: int = 0,
        leaves: int = 0,
        reorder: int = 0,
        tuned_k: int = 100,
    ) -> None:
        super().__init__(structure, dim, ids)
        self._searcher = searcher
        self._structure: Structure = structure
        self.num_leaves, self.leaves, self.reorder, self.tuned_k = num_leaves, leaves, reorder, tuned_k

    @classmethod
    def build(
        cls, vectors: Float32, ids: Sequence[str] | Ids, structure: Structure, *, k: int = 100
    ) -> "ScannIndex":
        """Build a searcher that is not tuned yet: it looks at a tenth of the leaves.

        Below :data:`SMALLEST_LEARNED` candidates every structure is brute force.

        Raises:
            ModelError: an embedding is not finite, or ids and embeddings differ in number.
        """
        from scann.scann_ops.py import scann_ops_pybind

        vectors = checked_vectors(vectors, None, "candidate embeddings")
        size, dim = vectors.shape
        kept_ids = checked_ids(ids, size)
        builder = scann_ops_pybind.builder(vectors, min(k, size), "dot_product")
        if structure == "brute_force" or size < SMALLEST_LEARNED:
            return cls(builder.score_brute_force().build(), dim, kept_ids, "brute_force", tuned_k=k)
        reorder = min(size, 4 * k)
        num_leaves = leaves = 0
        if structure == "tree":
            num_leaves = max(1, round(_LEAVES * size**0.5))
            leaves = max(1, num_leaves // 10)
            builder = builder.tree(
                num_leaves=num_leaves,
                num_leaves_to_search=leaves,
                training_sample_size=min(size, _SAMPLED_A_LEAF * num_leaves),
            )
        builder = builder.score_ah(
            _DIMENSIONS_PER_BLOCK, anisotropic_quantization_threshold=_ANISOTROPIC_THRESHOLD
        )
        searcher = builder.reorder(reorder).build()
        return cls(
            searcher,
            dim,
            kept_ids,
            structure,
            num_leaves=num_leaves,
            leaves=leaves,
            reorder=reorder,
            tuned_k=k,
        )

    @classmethod
    def open(
        cls, directory: Path, dim: int, ids: Ids, structure: Structure, **parameters: int
    ) -> "ScannIndex":
        """Load what :meth:`write` wrote."""
        from scann.scann_ops.py import scann_ops_pybind

        # ScaNN resolves the relative paths of its assets against the folder it is given.
        searcher = scann_ops_pybind.load_searcher(os.fspath(directory.resolve()))
        return cls(searcher, dim, ids, structure, **parameters)

    @property
    def parameters(self) -> Mapping[str, int]:
        shared = {"tuned_k": self.tuned_k}
        if self.kind == "brute_force":
            return shared
        hashed = shared | {"reorder": self.reorder}
        if self.kind == "hashed":
            return hashed
        return hashed | {"num_leaves": self.num_leaves, "leaves": self.leaves}

    def tuned(self, *, leaves: int | None = None, reorder: int | None = None) -> "ScannIndex":
        """The same searcher looking at more or less."""
        return ScannIndex(
            self._searcher,
            self.dim,
            self.ids,
            self._structure,
            num_leaves=self.num_leaves,
            leaves=self.leaves if leaves is None else min(leaves, self.num_leaves),
            reorder=self.reorder if reorder is None else min(reorder, self.size),
            tuned_k=self.tuned_k,
        )

    def write(self, directory: Path) -> None:
        self._searcher.serialize(os.fspath(directory), relative_path=True)

    def _search(self, queries: Float32, k: int) -> SearchResult:
        more = max(1.0, k / self.tuned_k)
        effort: dict[str, int] = {}
        if self.kind != "brute_force":
            effort["pre_reorder_num_neighbors"] = min(self.size, max(k, math.ceil(self.reorder * more)))
        if self.kind == "tree":
            enough = _LEAF_RESERVE * self.num_leaves * k / self.size
            effort["leaves_to_search"] = min(self.num_leaves, math.ceil(max(self.leaves * more, enough)))
        rows, scores = self._searcher.search_batched(queries, final_num_neighbors=k, **effort)
        # A short result is padded with row 0 at a distance that is not a number.
        real = ~np.isnan(scores)
        if np.count_nonzero(real) == real.size:
            full = np.full(len(rows), rows.shape[1], np.int32)
            return SearchResult(rows.astype(np.int32), scores.astype(np.float32, copy=False), full)
        order = np.argsort(~real, axis=1, kind="stable")
        real = np.take_along_axis(real, order, axis=1)
        rows = np.take_along_axis(rows.astype(np.int32), order, axis=1)
        scores = np.take_along_axis(scores, order, axis=1)
        return SearchResult(
            np.where(real, rows, PADDING_ROW).astype(np.int32),
            np.where(real, scores, -np.inf).astype(np.float32),
            real.sum(axis=1, dtype=np.int32),
        )
