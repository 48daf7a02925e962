"""Items whose embedding lies closest to the query's, through the index."""

from collections.abc import Sequence
from typing import Final

from slate.recommend.arrays import Rows
from slate.recommend.opened import Opened
from slate.recommend.sources.base import Asked

NAME: Final = "two_tower"


class TwoTowerSource:
    """The two-tower model. Batches are searched at once, as deep as the deepest ask needs."""

    name = NAME

    def __init__(self, release: Opened) -> None:
        self._release = release

    def candidates(self, asked: Asked, counts: Sequence[int]) -> list[Rows]:
        most = max(counts, default=0)
        if most < 1:
            return [asked.asks[i].seen[:0] for i in range(len(asked.asks))]
        found = self._release.index.search(asked.embeddings, most)
        return [found.row(place)[0][:count] for place, count in enumerate(counts)]
