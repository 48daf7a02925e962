"""The first stage: every source's candidates, merged."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from slate.errors import ModelError
from slate.recommend.arrays import Floats, Rows
from slate.recommend.distinct import merged
from slate.recommend.filters.base import Filter
from slate.recommend.newcomers.columns import embeddings_of
from slate.recommend.opened import Opened
from slate.recommend.sources.base import Asked, Quota, Source
from slate.recommend.stages.records import Ask, Candidates


class Call(NamedTuple):
    """One source, ready to be asked: ``work`` gives the rows of every ask."""

    source: str
    work: Callable[[], list[Rows]]


#: Asks sources; None stands for one that gave nothing.
Gather = Callable[[Sequence[Call]], Sequence[list[Rows] | None]]


def one_by_one(calls: Sequence[Call]) -> list[list[Rows] | None]:
    """Every source in turn; what one raises is raised."""
    return [call.work() for call in calls]


class Retrieval:
    """Asks the sources of one release. More is fetched than wanted, by what filters may remove.

    Args:
        gather: how sources are asked, and what becomes of one that fails.
    """

    def __init__(
        self,
        release: Opened,
        quotas: Sequence[Quota],
        filters: Sequence[Filter],
        gather: Gather = one_by_one,
    ) -> None:
        self._release = release
        self._embeddings = embeddings_of(release)
        self._quotas = tuple(quotas)
        self._names = tuple(quota.source.name for quota in quotas)
        self._filters = tuple(filters)
        self._gather = gather

    def candidates(self, asks: Sequence[Ask], count: int | None = None) -> list[Candidates]:
        """The merged candidates of each ask.

        Args:
            count: instead of what is configured, for every source.

        Raises:
            ModelError: a query embedding is not finite, a source names a row outside the catalogue, or
                sources gave nothing and the others too little for a slate.
        """
        if not asks:
            return []
        embeddings = self._release.encoder.embed([ask.query for ask in asks])
        asked = Asked(asks, embeddings)
        wanted = tuple(quota.wanted if count is None else count for quota in self._quotas)
        calls = [
            Call(quota.source.name, partial(self._named, quota.source, asked, own))
            for quota, own in zip(self._quotas, wanted, strict=True)
        ]
        answers = self._gather(calls)
        nothing: list[Rows] = [np.empty(0, np.int32)] * len(asks)
        found = [nothing if answer is None else answer for answer in answers]
        together = [
            self._merge(embeddings[place], [rows[place] for rows in found], wanted)
            for place in range(len(asks))
        ]
        failed = [name for name, answer in zip(self._names, answers, strict=True) if answer is None]
        if failed:
            self._enough(together, failed)
        return together

    def similarities(self, embedding: Floats, rows: Rows) -> Floats:
        """Dot products of one query embedding with candidates: what the ranker takes for retrieval scores."""
        scores: Floats = self._embeddings[rows] @ embedding
        return scores

    def _fetched(self, ask: Ask, count: int) -> int:
        headroom = sum(each.headroom(ask, count) for each in self._filters)
        return min(count + headroom, len(self._release.ids))

    def _named(self, source: Source, asked: Asked, wanted: int) -> list[Rows]:
        """What one source names for every ask."""
        counts = [self._fetched(ask, wanted) for ask in asked.asks]
        rows = source.candidates(asked, counts)
        if len(rows) != len(counts):
            raise ModelError(f"source {source.name}: names rows for {len(rows)} of {len(counts)} asks")
        self._check(source, rows[0] if len(rows) == 1 else np.concatenate(rows))
        return rows

    def _enough(self, merged: Sequence[Candidates], failed: Sequence[str]) -> None:
        """Whether the sources that answered make up for those that did not."""
        least = min(len(each.rows) for each in merged)
        if least < self._release.config.k:
            raise ModelError(
                f"sources {', '.join(failed)}: gave nothing, and the others {least} candidates; "
                "look at the log for why"
            )

    def _check(self, source: Source, rows: Rows) -> None:
        size = len(self._release.ids)
        if len(rows) and (rows.min() < 0 or rows.max() >= size):
            raise ModelError(
                f"source {source.name}: names catalogue row {int(rows.max())} (lowest {int(rows.min())}) of "
                f"{size}; assemble the release again from one training"
            )

    def _merge(self, embedding: Floats, found: Sequence[Rows], wanted: tuple[int, ...]) -> Candidates:
        rows, places = merged(found)
        scores = self.similarities(embedding, rows)
        finite = np.isfinite(scores)
        dropped = len(rows) - int(np.count_nonzero(finite))
        if dropped:
            place_of = np.cumsum(finite) - 1
            places = tuple(place_of[own[finite[own]]] for own in places)
            rows, scores = rows[finite], scores[finite]
        source = np.zeros(len(rows), np.int8)
        for number in reversed(range(1, len(places))):
            source[places[number]] = number
        source[: len(places[0])] = 0
        return Candidates(rows, scores, source, places, self._names, wanted, dropped)
