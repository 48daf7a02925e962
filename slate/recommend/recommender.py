"""The four stages over one release: retrieve, filter, score, order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from slate import columns
from slate.clock import SystemClock, microseconds
from slate.config import DatasetConfig, RecommendConfig, RetrievalConfig, parse_section
from slate.data.catalogue import Catalogue
from slate.data.features import FeatureSpace
from slate.data.sequences import History, natural
from slate.ranking.scorer import Ranker
from slate.recommend import fallback, ordering
from slate.recommend.filters import RowFilter, Rows, apply_filters
from slate.recommend.request import Explanation, Interaction, Request, Slate, SlateItem
from slate.recommend.users import UserState, UserStore
from slate.retrieval.index import CandidateIndex, open_index
from slate.retrieval.query import Query, QueryEncoder

QUERY_TOWER: Final = "retrieval/query_tower"
INDEX: Final = "retrieval/index"
EMBEDDINGS: Final = f"retrieval/{columns.EMBEDDINGS_FILE}"
RANKER: Final = "ranking/model"
USERS: Final = f"users/{columns.USERS_FILE}"

TWO_TOWER: Final = "two_tower"


@dataclass(frozen=True)
class Ask:
    """A request in model terms: the query, what may not be shown, and what was not understood."""

    query: Query
    seen: Rows
    excluded: Rows
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class Ranked:
    """Scored candidates of one ask, best first: catalogue rows, ranker and retrieval scores."""

    rows: Rows
    scores: npt.NDArray[np.float32]
    retrieval_scores: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    removed: Mapping[str, Rows]


class Recommender:
    """A release, opened. Holds no request state; safe to call from several threads.

    Args:
        directory: a release folder, sealed or not; whoever opens it has verified it.
        config: the release's configuration sections (``retrieval`` and ``recommend`` are read).
        release_id: what the answers name.
    """

    def __init__(self, directory: Path, config: Mapping[str, Any], release_id: str) -> None:
        retrieval = parse_section(RetrievalConfig, config.get("retrieval", {}))
        self.directory = directory
        self.sections = config
        self.release_id = release_id
        self.config = parse_section(RecommendConfig, config.get("recommend", {}))
        self.catalogue = Catalogue.open(directory)
        self.features = FeatureSpace.from_json(
            (directory / columns.FEATURES_FILE).read_text(encoding="utf-8")
        )
        self.users = UserStore(directory / USERS)
        self.index: CandidateIndex = open_index(directory / INDEX)
        self.encoder = QueryEncoder.open(directory / QUERY_TOWER, self.features, retrieval.history)
        self.ranker = Ranker.open(directory / RANKER, self.features)
        self.fallback = fallback.read(directory)
        self._clock = SystemClock()

    @cached_property
    def embeddings(self) -> npt.NDArray[np.float32]:
        """Candidate embeddings by catalogue row, memory-mapped: [items, dim]."""
        embeddings: npt.NDArray[np.float32] = np.load(self.directory / EMBEDDINGS, mmap_mode="r")
        return embeddings

    @cached_property
    def _plain_event(self) -> str:
        """What an item id without an event stands for: the target event of the lowest weight."""
        described = self.sections.get("dataset")
        if described is None:
            return self.features.events[0]
        config = parse_section(DatasetConfig, described)
        return min(config.target_events, key=lambda name: (config.events[name].weight, name))

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
        return self.recommend_batch(
            [
                Request(
                    user_id=user_id,
                    history=None if history is None else self._interactions(history, at),
                    context=context or {},
                    exclude=exclude,
                    k=k,
                    at=at,
                    explain=explain,
                )
            ]
        )[0]

    def recommend_batch(self, requests: Sequence[Request]) -> list[Slate]:
        """Answer several requests with one pass through the models."""
        asks = [self.ask(request) for request in requests]
        ranked = self.rank(asks)
        return [self._answer(*both) for both in zip(requests, asks, ranked, strict=True)]

    def ask(self, request: Request) -> Ask:
        """Translate a request into model terms, looking the user up where it says nothing."""
        at = request.at or self._clock.now()
        state = (self.users.get(request.user_id) if request.user_id is not None else None) or UserState()
        given = state.history if request.history is None else sorted(request.history, key=_chronology)
        rows, events, times, ignored = [], [], [], []
        known_events = {name: code for code, name in enumerate(self.features.events, start=1)}
        for interaction in given:
            row = self.catalogue.ids.row(interaction.item_id)
            event = known_events.get(interaction.event)
            if row is None or event is None:
                ignored.append(interaction.item_id if row is None else interaction.event)
                continue
            rows.append(row)
            events.append(event)
            times.append(microseconds(interaction.at))
        seen = self.catalogue.ids.known_rows(state.seen) if request.history is None else rows
        ignored += [item for item in request.exclude if item not in self.catalogue.ids]
        return Ask(
            query=Query(
                history=History(
                    np.asarray(rows, np.int32), np.asarray(events, np.int16), np.asarray(times, np.int64)
                ),
                at=microseconds(at),
                user=state.features if request.features is None else request.features,
                context=request.context,
            ),
            seen=np.unique(np.asarray([*seen, *rows], dtype=np.int32)),
            excluded=np.unique(self.catalogue.ids.known_rows(request.exclude)),
            ignored=tuple(ignored),
        )

    def rank(self, asks: Sequence[Ask]) -> list[Ranked]:
        """Retrieve, filter and score; the candidates of each ask, best first.

        More is fetched than ranked, by as many as the filters may remove, so that a user who has
        seen much still gets a full list.
        """
        kept, kept_scores, removed = self._retrieve(asks, self.config.candidates)
        scores = self.ranker.score([ask.query for ask in asks], kept, kept_scores)
        ranked = []
        for i, rows in enumerate(kept):
            count = len(rows)
            order = ordering.by_score(scores.score[i, :count], count)
            ranked.append(
                Ranked(
                    rows[order],
                    scores.score[i, order],
                    kept_scores[i][order],
                    scores.probabilities[i, order],
                    removed[i],
                )
            )
        return ranked

    def retrieve(self, asks: Sequence[Ask], count: int) -> list[Rows]:
        """The retrieval stage and the filters alone: up to ``count`` rows an ask, best first."""
        return self._retrieve(asks, count)[0]

    def _retrieve(
        self, asks: Sequence[Ask], count: int
    ) -> tuple[list[Rows], list[npt.NDArray[np.float32]], list[dict[str, Rows]]]:
        rows_kept: list[Rows] = []
        scores_kept: list[npt.NDArray[np.float32]] = []
        rows_removed: list[dict[str, Rows]] = []
        if not asks:
            return rows_kept, scores_kept, rows_removed
        embeddings = self.encoder.embed([ask.query for ask in asks])
        most = max(len(ask.seen) + len(ask.excluded) for ask in asks)
        found = self.index.search(embeddings, min(count + most, self.index.size))
        for i, ask in enumerate(asks):
            rows, scores = found.row(i)
            outcome = apply_filters([RowFilter("seen", ask.seen), RowFilter("excluded", ask.excluded)], rows)
            best = outcome.kept[:count]
            rows_kept.append(rows[best])
            scores_kept.append(scores[best])
            rows_removed.append({name: rows[at] for name, at in outcome.removed.items()})
        return rows_kept, scores_kept, rows_removed

    def _answer(self, request: Request, ask: Ask, ranked: Ranked) -> Slate:
        k = self.config.k if request.k is None else request.k
        picked = ordering.by_relevance_and_diversity(
            ranked.scores, self.embeddings[ranked.rows], k, self.config.diversity
        )
        ids = self.catalogue.ids.ids
        items = tuple(
            SlateItem(ids[ranked.rows[at]], float(ranked.scores[at]), position, TWO_TOWER)
            for position, at in enumerate(picked, start=1)
        )
        rung = "personalised"
        if not items:
            blocked = set(self.catalogue.ids.to_ids(np.concatenate([ask.seen, ask.excluded])))
            items, rung = fallback.popular(self.fallback, blocked, k), "popular"
        return Slate(
            user_id=request.user_id,
            items=items,
            rung=rung,
            release_id=self.release_id,
            explanation=self._explain(ask, ranked) if request.explain else None,
        )

    def _explain(self, ask: Ask, ranked: Ranked) -> Explanation:
        ids = self.catalogue.ids
        return Explanation(
            retrieved=dict(zip(ids.to_ids(ranked.rows), map(float, ranked.retrieval_scores), strict=True)),
            removed={name: ids.to_ids(rows) for name, rows in ranked.removed.items()},
            scored={
                ids.ids[row]: {
                    "score": float(score),
                    **dict(zip(self.features.events, map(float, chances), strict=True)),
                }
                for row, score, chances in zip(ranked.rows, ranked.scores, ranked.probabilities, strict=True)
            },
            ignored=ask.ignored,
        )

    def _interactions(self, history: Sequence[str | Interaction], at: datetime) -> list[Interaction]:
        count = len(history)
        return [
            each
            if isinstance(each, Interaction)
            else Interaction(each, self._plain_event, at - timedelta(minutes=count - place))
            for place, each in enumerate(history)
        ]


def _chronology(interaction: Interaction) -> tuple[datetime, tuple[int, int, str], str]:
    """The order in which histories enter training; see :func:`slate.data.sequences.chronological`."""
    return interaction.at, natural(interaction.item_id), interaction.event
