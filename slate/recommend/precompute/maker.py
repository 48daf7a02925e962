"""Slates of many users at once, by the funnel that answers requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from slate.errors import ModelError
from slate.recommend.precompute.states import Known
from slate.recommend.problems import problem_in
from slate.recommend.recommender import Recommender
from slate.recommend.request import Request
from slate.recommend.stages.records import Ask, Picked

#: Why somebody gets no slate.
INACTIVE: Final = "inactive"
UNKNOWN: Final = "unknown"
NOTHING: Final = "nothing personal"
FAILED: Final = "failed"


@dataclass(frozen=True)
class Made:
    """A user's slate, or the reason for which there is none, and what more can be said of it."""

    user_id: str
    slate: Picked | None
    reason: str = ""
    detail: str = ""


class Maker:
    """Answers as the server would answer a request of ``k`` items at the instant ``at``.

    What lower rungs would show is not kept: they need no help.
    """

    def __init__(self, recommender: Recommender, at: datetime, k: int) -> None:
        self._funnel = recommender.funnel
        self._ids = recommender.catalogue.ids
        self._at = at
        self._k = k

    def known(self, users: Sequence[Known]) -> list[Made]:
        """Of users of whom the release says everything."""
        requests = [self._request(user.user_id) for user in users]
        asks = [
            self._funnel.ask_of(request, user.record) for request, user in zip(requests, users, strict=True)
        ]
        return self._made(asks, requests)

    def looked_up(self, user_ids: Sequence[str]) -> list[Made]:
        """Of users who are looked up as a request of theirs would be; none of whom nothing is known."""
        requests = [self._request(user_id) for user_id in user_ids]
        asks = self._funnel.prepare(requests)
        known = [place for place, ask in enumerate(asks) if len(ask.query.history.items)]
        unknown = [Made(str(ask.user_id), None, UNKNOWN) for ask in asks if not len(ask.query.history.items)]
        return unknown + self._made([asks[place] for place in known], [requests[place] for place in known])

    def _request(self, user_id: str) -> Request:
        return Request(user_id=user_id, k=self._k, at=self._at)

    def _made(self, asks: Sequence[Ask], requests: Sequence[Request]) -> list[Made]:
        if not asks:
            return []
        funnel = self._funnel
        try:
            scored = funnel.score(asks, funnel.filter(asks, funnel.retrieve(asks)))
            slates = funnel.picked(asks, requests, scored)
            return [self._judged(str(ask.user_id), slate) for ask, slate in zip(asks, slates, strict=True)]
        except ModelError as error:
            if len(asks) == 1:
                return [Made(str(requests[0].user_id), None, FAILED, str(error))]
        # One user's trouble is not that of those beside them.
        alone = [self._made([ask], [request]) for ask, request in zip(asks, requests, strict=True)]
        return [made for (made,) in alone]

    def _judged(self, user_id: str, slate: Picked) -> Made:
        if not slate.item_ids:
            return Made(user_id, None, NOTHING)
        known = None not in self._ids.rows(slate.item_ids)
        problem = problem_in(slate.item_ids, slate.scores, known=known)
        return Made(user_id, None, FAILED, problem) if problem else Made(user_id, slate)
