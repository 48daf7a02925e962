"""The first stage: every source's candidates, merged."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from slate.errors import ModelError
from slate.recommend.arrays import Floats, Places, Rows
from slate.recommend.filters.base import Filter
from slate.recommend.opened import Opened
from slate.recommend.sources.base import Asked, Quota, Source
from slate.recommend.stages.records import Ask, Candidates

Numbers = TypeVar("Numbers", Rows, Places)


class Retrieval:
    """Asks the sources of one release. More is fetched than wanted, by what filters may remove."""

    def __init__(self, release: Opened, quotas: Sequence[Quota], filters: Sequence[Filter]) -> None:
        self._release = release
        self._quotas = tuple(quotas)
        self._names = tuple(quota.source.name for quota in quotas)
        self._filters = tuple(filters)

    def candidates(self, asks: Sequence[Ask], count: int | None = None) -> list[Candidates]:
        """The merged candidates of each ask.

        Args:
            count: instead of what is configured, for every source.

        Raises:
            ModelError: a query embedding is not finite, or a source names a row outside the catalogue.
        """
        if not asks:
            return []
        embeddings = self._release.encoder.embed([ask.query for ask in asks])
        asked = Asked(asks, embeddings)
        wanted = tuple(quota.wanted if count is None else count for quota in self._quotas)
        found: list[list[Rows]] = []
        for quota, own in zip(self._quotas, wanted, strict=True):
            counts = [self._fetched(ask, own) for ask in asks]
            found.append([self._checked(quota.source, r) for r in quota.source.candidates(asked, counts)])
        return [
            self._merge(embeddings[place], [rows[place] for rows in found], wanted)
            for place in range(len(asks))
        ]

    def similarities(self, embedding: Floats, rows: Rows) -> Floats:
        """Dot products of one query embedding with candidates: what the ranker takes for retrieval scores."""
        scores: Floats = self._release.embeddings[rows] @ embedding
        return scores

    def _fetched(self, ask: Ask, count: int) -> int:
        headroom = sum(each.headroom(ask, count) for each in self._filters)
        return min(count + headroom, len(self._release.catalogue))

    def _checked(self, source: Source, rows: Rows) -> Rows:
        size = len(self._release.catalogue)
        if len(rows) and (rows.min() < 0 or rows.max() >= size):
            raise ModelError(
                f"source {source.name}: names catalogue row {int(rows.max())} (lowest {int(rows.min())}) of "
                f"{size}; assemble the release again from one training"
            )
        return rows

    def _merge(self, embedding: Floats, found: Sequence[Rows], wanted: tuple[int, ...]) -> Candidates:
        rows, places = _merged(found)
        scores = self.similarities(embedding, rows)
        finite = np.isfinite(scores)
        dropped = int(len(rows) - np.count_nonzero(finite))
        if dropped:
            place_of = np.cumsum(finite) - 1
            places = tuple(place_of[own[finite[own]]] for own in places)
            rows, scores = rows[finite], scores[finite]
        source = np.zeros(len(rows), np.int8)
        for number in reversed(range(len(places))):
            source[places[number]] = number
        return Candidates(rows, scores, source, places, self._names, wanted, dropped)


def _merged(found: Sequence[Rows]) -> tuple[Rows, tuple[Places, ...]]:
    """Each row once, where it is named first, and the positions of every source's rows."""
    if len(found) == 1:
        rows = _distinct(found[0])
        return rows, (np.arange(len(rows)),)
    together = np.concatenate(found)
    unique, first, code = np.unique(together, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    place = np.empty(len(unique), np.int64)
    place[order] = np.arange(len(unique))
    ends = np.cumsum([len(rows) for rows in found])[:-1]
    return together[np.sort(first)], tuple(_distinct(own) for own in np.split(place[code], ends))


def _distinct(values: Numbers) -> Numbers:
    """Without repetitions, in the order given."""
    _, first = np.unique(values, return_index=True)
    return values if len(first) == len(values) else values[np.sort(first)]
