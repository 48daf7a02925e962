"""The last stage: from scored candidates to the slate."""


from slate.recommend import fallback
from slate.recommend.explain import explained
from slate.recommend.filters.base import Filter, apply_filters
from slate.recommend.opened import Opened
from slate.recommend.ordering.diversity import by_relevance_and_diversity
from slate.recommend.ordering.relevance import by_score
from slate.recommend.request import Request, Slate, SlateItem
from slate.recommend.stages.records import Ask, Scored

PERSONALISED = "personalised"


class Ordering:
    """Orders the candidates of one release."""

    def __init__(self, release: Opened, filters: tuple[Filter, ...]) -> None:
        self._release = release
        self._filters = filters

    def slate(self, ask: Ask, request: Request, scored: Scored) -> Slate:
        """The answer; where no candidate is left, the popular items that pass the filters."""
        release = self._release
        k = release.config.k if request.k is None else request.k
        diversity = release.config.diversity
        picked = (
            by_relevance_and_diversity(scored.scores, release.embeddings[scored.rows], k, diversity)
            if diversity
            else by_score(scored.scores, k)
        )
        ids = release.catalogue.ids.ids
        items = tuple(
            SlateItem(ids[scored.rows[at]], float(scored.scores[at]), position, scored.source(at))
            for position, at in enumerate(picked, start=1)
        )
        rung = PERSONALISED
        if not items:
            items, rung = self._popular(ask, k), fallback.POPULAR
        return Slate(
            user_id=request.user_id,
            items=items,
            rung=rung,
            release_id=release.release_id,
            explanation=explained(release, ask, scored) if request.explain else None,
        )

    def _popular(self, ask: Ask, k: int) -> tuple[SlateItem, ...]:
        ids = self._release.catalogue.ids
        ranking = [(item, score) for item, score in self._release.fallback if item in ids]
        kept = apply_filters(self._filters, ask, ids.known_rows(item for item, _ in ranking)).kept
        return fallback.popular([ranking[place] for place in kept[:k]], (), k)
