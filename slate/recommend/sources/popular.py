"""Items that most people wanted."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from slate.recommend.arrays import Rows
from slate.recommend.sources.base import Asked
from slate.retrieval.sources.records import ItemRecords

NAME: Final = "popular"


class PopularSource:
    """The same for everybody: the most wanted items of the training period; never one that nobody wanted."""

    name = NAME

    def __init__(self, records: ItemRecords) -> None:
        order = np.argsort(-records.wanted, kind="stable")
        self._best = order[: np.count_nonzero(records.wanted > 0)].astype(np.int32)

    def candidates(self, asked: Asked, counts: Sequence[int]) -> list[Rows]:
        return [self._best[:count] for _, count in zip(asked.asks, counts, strict=True)]
