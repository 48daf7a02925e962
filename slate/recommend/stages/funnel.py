"""The stages of one release, one after the other, for whoever calls them."""

from collections.abc import Sequence
from datetime import datetime

from slate.clock import Clock, SystemClock
from slate.recommend.engine import ScoreRequest, Scores
from slate.recommend.filters.build import filters_of
from slate.recommend.live import STRANGER, LiveState, NothingLive
from slate.recommend.opened import Opened
from slate.recommend.request import Interaction, Request, Slate
from slate.recommend.sources.build import quotas_of
from slate.recommend.stages.filter import Filtering
from slate.recommend.stages.order import Ordering
from slate.recommend.stages.prepare import Preparation
from slate.recommend.stages.records import Ask, Candidates, Kept, Picked, Scored
from slate.recommend.stages.retrieve import Gather, Retrieval, one_by_one
from slate.recommend.stages.score import Scoring
from slate.recommend.users import UserRecord


class Funnel:
    """Four stages over an opened release, and the translation before them.

    Every method answers for all asks at once, in their order. Thread-safe; holds no state of requests.
    Each stage hands on finite scores and rows of the catalogue only. ``gather`` says how sources are asked.
    """

    def __init__(
        self,
        release: Opened,
        live: LiveState | None = None,
        clock: Clock | None = None,
        gather: Gather = one_by_one,
    ) -> None:
        live = live or NothingLive()
        filters = filters_of(release, live)
        self._live = live
        self._clock = clock or SystemClock()
        self._preparation = Preparation(release, live, self._clock)
        self._retrieval = Retrieval(release, quotas_of(release), filters, gather)
        self._filtering = Filtering(filters)
        self._scoring = Scoring(release, self._retrieval)
        self._ordering = Ordering(release, filters)
        live.tell(release.newcomers)

    def prepare(self, requests: Sequence[Request]) -> list[Ask]:
        """Requests in model terms; users are looked up."""
        asking = {each.user_id for each in requests if each.live and each.user_id is not None}
        users = self._live.users(asking)
        return [
            self._preparation.ask(each, users.get(each.user_id or "", STRANGER) if each.live else STRANGER)
            for each in requests
        ]

    def ask_of(self, request: Request, known: UserRecord) -> Ask:
        """A request in model terms where nobody is looked up; see :class:`Preparation`."""
        return self._preparation.of(request, known)

    def retrieve(self, asks: Sequence[Ask], count: int | None = None) -> list[Candidates]:
        """Candidates of every source, merged; ``count`` of each source instead of what is configured.

        Raises:
            ModelError: an embedding is not finite, or a source names what is not in the catalogue.
        """
        return self._retrieval.candidates(asks, count)

    def filter(self, asks: Sequence[Ask], candidates: Sequence[Candidates]) -> list[Kept]:
        """Candidates that may be shown, and what each filter removed."""
        return [self._filtering.kept(*both) for both in zip(asks, candidates, strict=True)]

    def score(self, asks: Sequence[Ask], kept: Sequence[Kept]) -> list[Scored]:
        """The ranker's scores, best first."""
        return self._scoring.scored(asks, kept)

    def order(
        self, asks: Sequence[Ask], requests: Sequence[Request], scored: Sequence[Scored]
    ) -> list[Slate]:
        """The slates."""
        return [self._ordering.slate(*each) for each in zip(asks, requests, scored, strict=True)]

    def picked(
        self, asks: Sequence[Ask], requests: Sequence[Request], scored: Sequence[Scored]
    ) -> list[Picked]:
        """What the slates show as columns, without what lower rungs would show."""
        return [self._ordering.picked(*each) for each in zip(asks, requests, scored, strict=True)]

    def popular(self, request: Request) -> list[tuple[str, float]]:
        """All popular items of the release that may be shown to who asks so, best first."""
        (ask,) = self.prepare([request])
        return self._ordering.popular(ask)

    def slates(self, requests: Sequence[Request]) -> list[Slate]:
        """All stages, one after the other."""
        asks = self.prepare(requests)
        return self.order(asks, requests, self.score(asks, self.filter(asks, self.retrieve(asks))))

    def score_items(self, requests: Sequence[ScoreRequest]) -> list[Scores]:
        """Scoring alone, of items that the caller names. None stands for an unknown item."""
        asks = self.prepare([self._request(request) for request in requests])
        return self._scoring.items(asks, [request.item_ids for request in requests])

    def interactions(self, history: Sequence[str | Interaction], at: datetime) -> list[Interaction]:
        """A history in full; see :meth:`slate.recommend.stages.prepare.Preparation.interactions`."""
        return self._preparation.interactions(history, at)

    def _request(self, request: ScoreRequest) -> Request:
        at = request.at or self._clock.now()
        return Request(
            user_id=request.user_id,
            history=request.history,
            context=request.context,
            at=at,
        )
