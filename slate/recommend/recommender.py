"""A release that recommends: the four stages, and the questions that are asked of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from slate.clock import SystemClock
from slate.config import RecommendConfig
from slate.data.catalogue import Catalogue
from slate.data.features import FeatureSpace
from slate.ranking.scorer import Ranker
from slate.recommend.arrays import Floats, Rows
from slate.recommend.live import LiveState, NothingLive
from slate.recommend.opened import EMBEDDINGS, INDEX, QUERY_TOWER, RANKER, USERS, Opened, OpenIndex
from slate.recommend.request import Interaction, Request, Slate
from slate.recommend.stages.funnel import Funnel
from slate.recommend.stages.records import Ask, Scored
from slate.recommend.stages.retrieve import Gather, one_by_one
from slate.recommend.users import UserStore
from slate.retrieval.index import CandidateIndex, open_index
from slate.retrieval.query import QueryEncoder

__all__ = ["EMBEDDINGS", "INDEX", "QUERY_TOWER", "RANKER", "USERS", "Ask", "Recommender", "Scored"]


class Recommender:
    """A release, opened. Holds no request state; safe to call from several threads.

    Args:
        directory: a release folder, sealed or not; whoever opens it has verified it.
        config: the release's configuration sections (``retrieval``, ``recommend`` and ``dataset`` are read).
        release_id: what the answers name.
        live: what changes between releases; nothing by default.
        gather: how sources are asked; one that fails, fails all by default.
        index: opens the folder of the index.
    """

    def __init__(
        self,
        directory: Path,
        config: Mapping[str, Any],
        release_id: str,
        live: LiveState | None = None,
        gather: Gather = one_by_one,
        index: OpenIndex = open_index,
    ) -> None:
        self._clock = SystemClock()
        live = live or NothingLive()
        self.opened = Opened(directory, config, release_id, live.new_items, index)
        self.funnel = Funnel(self.opened, live, self._clock, gather)

    @property
    def directory(self) -> Path:
        return self.opened.directory

    @property
    def sections(self) -> Mapping[str, Any]:
        """The release's configuration sections, as they were given."""
        return self.opened.sections

    @property
    def release_id(self) -> str:
        return self.opened.release_id

    @property
    def config(self) -> RecommendConfig:
        return self.opened.config

    @property
    def catalogue(self) -> Catalogue:
        return self.opened.catalogue

    @property
    def features(self) -> FeatureSpace:
        return self.opened.features

    @property
    def users(self) -> UserStore:
        return self.opened.users

    @property
    def index(self) -> CandidateIndex:
        return self.opened.index

    @property
    def encoder(self) -> QueryEncoder:
        return self.opened.encoder

    @property
    def ranker(self) -> Ranker:
        return self.opened.ranker

    @property
    def embeddings(self) -> Floats:
        """Candidate embeddings by catalogue row, memory-mapped: [items, dim]."""
        return self.opened.embeddings

    @property
    def fallback(self) -> tuple[tuple[str, float], ...]:
        """The popular items and their popularity, best first."""
        return self.opened.fallback

    def recommend(
        self,
        user_id: str | None = None,
        *,
        history: Sequence[str | Interaction] | None = None,
        k: int | None = None,
        context: Mapping[str, object] | None = None,
        exclude: Sequence[str] = (),
        at: datetime | None = None,
        explain: bool = False,
    ) -> Slate:
        """Recommend to a known user, to a given history, or to somebody unknown.

        Args:
            user_id: looked up in the release; an unknown one gets recommendations from context.
            history: overrides the released history; item ids oldest first (taken as the mildest
                target event, one minute apart, just before ``at``), or full interactions in any order.
                Unknown ids are ignored.
            k: the length of the slate; the release's own by default.
            context: raw context features.
            exclude: item ids that may not be shown.
            at: the instant of the request, now by default.
            explain: say how every candidate passed each stage.
        """
        at = at or self._clock.now()
        request = Request(
            user_id=user_id,
            history=None if history is None else self.funnel.interactions(history, at),
            context=context or {},
            exclude=exclude,
            k=k,
            at=at,
            explain=explain,
        )
        return self.recommend_batch([request])[0]

    def recommend_batch(self, requests: Sequence[Request]) -> list[Slate]:
        """Answer several requests with one pass through the models."""
        return self.funnel.slates(requests)

    def ask(self, request: Request) -> Ask:
        """Translate a request into model terms, looking the user up where it says nothing."""
        return self.funnel.prepare([request])[0]

    def rank(self, asks: Sequence[Ask]) -> list[Scored]:
        """Retrieve, filter and score; the candidates of each ask, best first."""
        return self.funnel.score(asks, self.funnel.filter(asks, self.funnel.retrieve(asks)))

    def retrieve(self, asks: Sequence[Ask], count: int) -> list[Rows]:
        """The first two stages alone: up to ``count`` rows an ask that may be shown.

        They are in the order of the two-tower model, whichever source named them.
        """
        found = self.funnel.filter(asks, self.funnel.retrieve(asks, count))
        return [each.rows[np.argsort(-each.scores, kind="stable")][:count] for each in found]
