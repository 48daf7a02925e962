"""The last stage: from scored candidates to the slate."""

from typing import Final

import numpy as np

from slate.recommend import fallback
from slate.recommend.arrays import Floats, Places
from slate.recommend.explain import explained
from slate.recommend.filters.base import Filter, apply_filters
from slate.recommend.newcomers.columns import embeddings_of, labels_by_row, since_by_row
from slate.recommend.opened import Opened
from slate.recommend.ordering.caps import Cap, capped
from slate.recommend.ordering.diversity import by_relevance_and_diversity, diverse
from slate.recommend.ordering.exploration import explored
from slate.recommend.ordering.freshness import with_freshness
from slate.recommend.ordering.relevance import by_score
from slate.recommend.request import Request, Slate
from slate.recommend.stages.records import Ask, Picked, Scored

PERSONALISED: Final = "personalised"


class Ordering:
    """Orders the candidates of one release: freshness, diversity, caps, then the exploring position.

    Raises:
        ConfigError: a feature that the configuration names is not one of the items'.
    """

    def __init__(self, release: Opened, filters: tuple[Filter, ...]) -> None:
        config = release.config
        self._release = release
        self._filters = filters
        self._embeddings = embeddings_of(release)
        self._since = (
            since_by_row(release, config.freshness.column, "recommend.freshness.column")
            if config.freshness.boost
            else None
        )
        self._caps = tuple(
            Cap(labels_by_row(release, name, "recommend.caps"), most)
            for name, most in sorted(config.caps.items())
        )

    def slate(self, ask: Ask, request: Request, scored: Scored) -> Slate:
        """The answer; where no candidate is left, the popular items that pass the filters.

        The score of an item is the ranker's, whatever the order made of it.
        """
        release = self._release
        k = self._length(request)
        adjusted = self._adjusted(ask, scored)
        items, rung = self._picked(ask, scored, adjusted, k).items(), PERSONALISED
        if not items:
            items, rung = fallback.popular(self.popular(ask), (), k), fallback.POPULAR
        return Slate(
            user_id=request.user_id,
            items=items,
            rung=rung,
            release_id=release.release_id,
            explanation=explained(release, ask, scored, adjusted) if request.explain else None,
        )

    def picked(self, ask: Ask, request: Request, scored: Scored) -> Picked:
        """What the slate shows of the candidates; nothing where none is left."""
        return self._picked(ask, scored, self._adjusted(ask, scored), self._length(request))

    def _length(self, request: Request) -> int:
        return self._release.config.k if request.k is None else request.k

    def _picked(self, ask: Ask, scored: Scored, adjusted: Floats, k: int) -> Picked:
        exploration = self._release.config.exploration
        reach = k + exploration.pool - 1 if exploration.rate else k
        places, propensities = explored(
            self._ordered(scored, adjusted, reach),
            k,
            exploration.rate,
            exploration.position,
            exploration.pool,
            ask.seed,
        )
        return Picked(
            item_ids=self._release.ids.to_ids(scored.rows[places]),
            scores=scored.scores[places].tolist(),
            sources=scored.sources(places),
            propensities=propensities.tolist(),
        )

    def _adjusted(self, ask: Ask, scored: Scored) -> Floats:
        freshness = self._release.config.freshness
        if self._since is None:
            return scored.scores
        since = self._since[scored.rows]
        return with_freshness(scored.scores, since, ask.query.at, freshness.boost, freshness.half_life_days)

    def _ordered(self, scored: Scored, scores: Floats, k: int) -> Places:
        """The first ``k`` places by relevance and diversity that no cap stops."""
        diversity = self._release.config.diversity
        if diversity:
            embeddings = self._embeddings[scored.rows]
            if not self._caps:
                return by_relevance_and_diversity(scores, embeddings, k, diversity)
            return capped(diverse(scores, embeddings, diversity), scored.rows, self._caps, k)
        # Candidates come best first; only scores that were adjusted put them into another order.
        places = np.arange(len(scores)) if scores is scored.scores else by_score(scores, len(scores))
        return capped(places.tolist(), scored.rows, self._caps, k) if self._caps else places[:k]

    def popular(self, ask: Ask) -> list[tuple[str, float]]:
        """The popular items and their popularity that pass the filters, best first."""
        ids = self._release.catalogue.ids
        ranking = [(item, score) for item, score in self._release.fallback if item in ids]
        rows = np.asarray(ids.known_rows(item for item, _ in ranking))
        kept = apply_filters(self._filters, ask, rows).kept
        return [ranking[place] for place in kept]
