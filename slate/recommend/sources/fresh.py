"""Items that are new at the instant of the request."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from slate.recommend.arrays import Rows
from slate.recommend.attributes import Instants
from slate.recommend.sources.base import Asked
from slate.retrieval.sources.records import NEVER

NAME: Final = "fresh"


class FreshSource:
    """The newest items that were there before the request, newest first; undated items never.

    Args:
        since: by catalogue row, microseconds since the epoch.
    """

    name = NAME

    def __init__(self, since: Instants) -> None:
        dated = np.flatnonzero(since != NEVER)
        order = dated[np.argsort(since[dated], kind="stable")]
        self._rows = order.astype(np.int32)
        self._since = since[order]

    def candidates(self, asked: Asked, counts: Sequence[int]) -> list[Rows]:
        found = []
        for ask, count in zip(asked.asks, counts, strict=True):
            end = int(np.searchsorted(self._since, ask.query.at, side="left"))
            found.append(self._rows[max(end - count, 0) : end][::-1])
        return found
