"""The second stage: what may not be shown is removed, and every source keeps its share of what is left."""

from collections.abc import Sequence

import numpy as np

from slate.recommend.filters.base import Filter, apply_filters
from slate.recommend.stages.records import Ask, Candidates, Kept


class Filtering:
    """Applies the filters of one release in their order."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        self._filters = tuple(filters)

    def kept(self, ask: Ask, candidates: Candidates) -> Kept:
        """What is left for scoring: of each source its best ``wanted`` that no filter removed."""
        outcome = apply_filters(self._filters, ask, candidates.rows)
        allowed = np.zeros(len(candidates.rows), np.bool_)
        allowed[outcome.kept] = True
        chosen = np.zeros_like(allowed)
        for places, count in zip(candidates.places, candidates.wanted, strict=True):
            chosen[places[allowed[places]][:count]] = True
        return Kept(candidates, np.flatnonzero(chosen), outcome.removed)
