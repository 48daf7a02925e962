"""Items whose embedding lies closest to the query's, through the index."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from slate.recommend.arrays import Floats, Rows
from slate.recommend.opened import Opened
from slate.recommend.sources.base import Asked

NAME: Final = "two_tower"


class TwoTowerSource:
    """The two-tower model. Batches are searched at once, as deep as the deepest ask needs.

    What came since the release stands in no index: all of it is compared, exactly.
    """

    name = NAME

    def __init__(self, release: Opened) -> None:
        self._release = release

    def candidates(self, asked: Asked, counts: Sequence[int]) -> list[Rows]:
        most = max(counts, default=0)
        if most < 1:
            return [asked.asks[i].seen[:0] for i in range(len(asked.asks))]
        found = self._release.index.search(asked.embeddings, most)
        group = self._release.newcomers.group
        if not len(group):
            return [found.row(place)[0][:count] for place, count in enumerate(counts)]
        scores = asked.embeddings @ group.embeddings.T
        return [
            _merged(found.row(place), group.first, scores[place], count)
            if ask.live
            else found.row(place)[0][:count]
            for place, (ask, count) in enumerate(zip(asked.asks, counts, strict=True))
        ]


def _merged(indexed: tuple[Rows, Floats], first: int, scores: Floats, count: int) -> Rows:
    """The best of what the index found and of new items, whose rows begin with ``first``."""
    rows = np.concatenate([indexed[0], first + np.arange(len(scores))]).astype(np.int32)
    order = np.argsort(-np.concatenate([indexed[1], scores]), kind="stable")
    return rows[order[:count]]
