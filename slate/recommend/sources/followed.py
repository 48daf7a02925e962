"""Items by authors, or of users, whom the user follows."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from slate import columns
from slate.data.sequences import NO_HISTORY
from slate.recommend.arrays import Rows
from slate.recommend.attributes import Instants, texts
from slate.recommend.sources.base import Asked
from slate.recommend.stages.records import Ask
from slate.recommend.users import UserStore
from slate.retrieval.sources.records import NEVER

NAME: Final = "followed"


def follows(ask: Ask) -> list[str]:
    """Whom the user of a request follows, each once."""
    return texts(ask.attribute(columns.FOLLOWS))


class FollowedAuthorsSource:
    """The items of followed authors that were there before the request, newest first, undated ones last.

    Args:
        authors: whose each item is, by catalogue row; one may have several.
        since: by catalogue row, microseconds since the epoch.
    """

    name = NAME

    def __init__(self, authors: Sequence[Sequence[str]], since: Instants) -> None:
        named = [(author, row) for row, names in enumerate(authors) for author in names]
        rows = np.asarray([row for _, row in named], np.int32)
        _, codes = np.unique([author for author, _ in named], return_inverse=True) if named else ((), rows)
        order = np.lexsort((rows, -since[rows].astype(np.float64), codes))
        bounds = np.flatnonzero(np.diff(codes[order], prepend=-1, append=len(rows)))
        self._since = since
        self._items: Mapping[str, Rows] = {
            named[order[start]][0]: rows[order[start:end]] for start, end in pairwise(bounds)
        }

    def candidates(self, asked: Asked, counts: Sequence[int]) -> list[Rows]:
        return [self._of(ask, count) for ask, count in zip(asked.asks, counts, strict=True)]

    def _of(self, ask: Ask, count: int) -> Rows:
        found = [self._items[author] for author in follows(ask) if author in self._items]
        if not found:
            return np.empty(0, np.int32)
        rows = np.unique(np.concatenate(found))
        since = self._since[rows]
        there = since < ask.query.at
        order = np.argsort(-since[there].astype(np.float64), kind="stable")
        return rows[there][order[:count]]


class FollowedUsersSource:
    """What followed users interacted with before the request, latest first.

    Args:
        wanted: codes of the events that say an item was wanted; the others are passed over.
    """

    name = NAME

    def __init__(self, users: UserStore, wanted: Collection[int]) -> None:
        self._users = users
        self._wanted = np.asarray(sorted(wanted), np.int16)

    def candidates(self, asked: Asked, counts: Sequence[int]) -> list[Rows]:
        return [self._of(ask, count) for ask, count in zip(asked.asks, counts, strict=True)]

    def _of(self, ask: Ask, count: int) -> Rows:
        records = filter(None, map(self._users.record, follows(ask)))
        pasts = [NO_HISTORY, *(record.history for record in records)]
        items, events, times = map(np.concatenate, zip(*pasts, strict=True))
        counted = (times < ask.query.at) & np.isin(events, self._wanted)
        rows, own = np.unique(items[counted], return_inverse=True)
        latest = np.full(len(rows), NEVER)
        np.maximum.at(latest, own, times[counted])
        return rows[np.argsort(-latest, kind="stable")][:count]
