"""Items that are close to those of the history: co-occurrence and item2vec, from their released tables."""

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np

from slate.recommend.arrays import Rows
from slate.recommend.sources.base import Asked
from slate.recommend.stages.records import Ask
from slate.retrieval.sources.neighbours import Neighbours

CO_OCCURRENCE: Final = "co_occurrence"
ITEM2VEC: Final = "item2vec"

_NOTHING: Final[Rows] = np.empty(0, np.int32)


class NeighbourSource:
    """Adds up, over the last items of a history, what their neighbours score, the n-th last weighing 1 / n.

    Args:
        events: codes of the interactions that say an item was wanted; the others are passed over.
        recent: how many different items of a history are looked at.
    """

    def __init__(self, name: str, table: Neighbours, events: Collection[int], recent: int) -> None:
        self.name = name
        self._table = table
        self._events = np.asarray(sorted(events), np.int16)
        self._recent = recent

    def candidates(self, asked: Asked, counts: Sequence[int]) -> list[Rows]:
        return [self._of(ask, count) for ask, count in zip(asked.asks, counts, strict=True)]

    def _of(self, ask: Ask, count: int) -> Rows:
        history = ask.query.history
        wanted = history.items[np.isin(history.events, self._events)]
        last = list(dict.fromkeys(reversed(wanted.tolist())))[: self._recent]
        found = [self._table.of(row) for row in last]
        if not sum(len(rows) for rows, _ in found):
            return _NOTHING
        rows = np.concatenate([rows for rows, _ in found])
        scores = np.concatenate([scores / place for place, (_, scores) in enumerate(found, start=1)])
        unique, code = np.unique(rows, return_inverse=True)
        total = np.bincount(code, scores)
        return unique[np.argsort(-total, kind="stable")[:count]]
