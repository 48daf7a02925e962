"""The second stage: what may not be shown is removed, and every source keeps its share of what is left."""

from collections.abc import Sequence

import numpy as np

from slate.recommend.arrays import Places
from slate.recommend.filters.base import Filter, apply_filters
from slate.recommend.stages.records import Ask, Candidates, Kept


class Filtering:
    """Applies the filters of one release in their order."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        self._filters = tuple(filters)

    def kept(self, ask: Ask, candidates: Candidates) -> Kept:
        """What is left for scoring: of each source its best ``wanted`` that no filter removed."""
        outcome = apply_filters(self._filters, ask, candidates.rows)
        return Kept(candidates, _shares(candidates, outcome.kept), outcome.removed)


def _shares(candidates: Candidates, kept: Places) -> Places:
    """Of the places that filters kept, each source's best ``wanted``."""
    if len(candidates.places) == 1:
        return kept[: candidates.wanted[0]]
    allowed = np.zeros(len(candidates.rows), np.bool_)
    allowed[kept] = True
    chosen = np.zeros_like(allowed)
    for places, count in zip(candidates.places, candidates.wanted, strict=True):
        chosen[places[allowed[places]][:count]] = True
    return chosen.nonzero()[0]
