"""The engine: one release answers, within the deadline, on the best rung that can."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from slate.config.online import OnlineConfig
from slate.recommend.engine import Answer, NotReadyError, OverloadedError, ScoreRequest, Scores
from slate.recommend.online.admission import Admission
from slate.recommend.online.batches import Batches
from slate.recommend.online.cores import usable_cores
from slate.recommend.online.funnel import Funnel
from slate.recommend.online.ladder import PERSONALISED, Ladder
from slate.recommend.online.stages import Stages
from slate.recommend.online.trouble import StageError
from slate.recommend.problems import problem_in
from slate.recommend.request import Request, Slate


class Known(Protocol):
    """Item ids, as a set has them."""

    def issuperset(self, ids: list[str], /) -> bool: ...


class Scoring(Protocol):
    """Scoring alone, on given items."""

    def score_items(self, requests: Sequence[ScoreRequest]) -> list[Scores]: ...


@dataclass(frozen=True)
class Loaded:
    """A release that was verified, opened, checked and warmed.

    ``known`` are its item ids, ``golden`` the requests whose answers are known.
    """

    release_id: str
    funnel: Funnel
    scoring: Scoring
    ladder: Ladder
    known: Known
    golden: Sequence[Mapping[str, Any]] = ()


#: Told of every slate that goes out: the request, the slate, seconds; gives the exposure's id.
Expose = Callable[[Request, Slate, float], str | None]
#: Told why a slate is not personalised: the stage and the reason.
Fallen = Callable[[str, str], None]


class OnlineEngine:
    """Answers from the current release; see :class:`slate.recommend.engine.Engine`.

    A request is answered as a whole by the release that was current when it came. ``trouble`` says why the
    release that answers is not fit to: it is not ready then, and answers whoever asks all the same.
    """

    def __init__(
        self,
        config: OnlineConfig,
        variant: str,
        stages: Stages,
        expose: Expose = lambda *_: None,
        fallen: Fallen = lambda *_: None,
    ) -> None:
        self._config = config
        self.variant = variant
        self._stages = stages
        self._expose = expose
        self._fallen = fallen
        self.admission = Admission(config.pending, config.deadline_ms / 1000, lambda: stages.most)
        self.trouble = ""
        self._lanes = config.lanes or usable_cores()
        self._current: tuple[Loaded, Batches] | None = None

    @property
    def ready(self) -> bool:
        return self._current is not None and not self.trouble and not self.admission.draining

    @property
    def release_id(self) -> str | None:
        return None if self._current is None else self._current[0].release_id

    def swap(self, release: Loaded) -> Batches:
        """Let ``release`` answer all requests from now on; those under way end on the one before.

        Returns:
            What answers from it.
        """
        batches = Batches(release.funnel, self._stages, self._lanes, self._learn)
        self._current = (release, batches)
        self.trouble = ""
        return batches

    def withdraw(self) -> None:
        """Answer nothing any more: the release turned out to be none."""
        self._current = None

    def refuses(self, requests: int) -> OverloadedError | None:
        return self.admission.refuses(requests, lower=True)

    async def recommend(self, requests: Sequence[Request], deadline_ms: float | None = None) -> list[Answer]:
        release, batches = self._pinned()
        in_time = self.admission.enter(len(requests), lower=True)
        stages = batches if in_time else None
        try:
            began = asyncio.get_running_loop().time()
            limit = self._config.deadline_ms if deadline_ms is None else deadline_ms
            ends = began + max(0.0, limit - self._config.reserve_ms) / 1000
            if len(requests) == 1:
                return [await self._one(release, stages, requests[0], began, ends)]
            every = [self._one(release, stages, request, began, ends) for request in requests]
            return list(await asyncio.gather(*every))
        finally:
            self.admission.leave(len(requests))

    async def score(self, requests: Sequence[ScoreRequest]) -> list[Scores]:
        release, _ = self._pinned()
        self.admission.enter(len(requests))
        try:
            return await self._stages.scores(
                lambda: release.scoring.score_items(requests), self._config.deadline_ms / 1000
            )
        except StageError as error:
            raise OverloadedError(f"scores were not there in time ({error})", 1.0) from error
        finally:
            self.admission.leave(len(requests))

    async def drain(self) -> None:
        """Refuse what comes from now on, and wait for what is held."""
        self.admission.draining = True
        while self.admission.held:
            await asyncio.sleep(0.005)

    def _pinned(self) -> tuple[Loaded, Batches]:
        if self._current is None:
            raise NotReadyError("no release is loaded; look at the log, and at the channel that is followed")
        return self._current

    async def _one(
        self, release: Loaded, batches: Batches | None, request: Request, began: float, ends: float
    ) -> Answer:
        """The best slate there is by ``ends``; without ``batches`` one that needs no model."""
        loop = asyncio.get_running_loop()
        slate = None
        if self._is_of_low_value(request):
            slate = await release.ladder.ahead(request, ends - loop.time())
        if slate is None:
            try:
                slate = await self._personalised(release, batches, request, ends)
            except StageError as error:
                self._fallen(error.stage, error.reason)
                left = ends - loop.time() + self._config.reserve_ms / 1000
                slate = await release.ladder.descend(request, left)
        return Answer(slate, self.variant, self._expose(request, slate, loop.time() - began))

    async def _personalised(
        self, release: Loaded, batches: Batches | None, request: Request, ends: float
    ) -> Slate:
        if batches is None:
            raise StageError("admission", "busy", "the stages are too far behind")
        slate = await batches.answer(request, ends)
        trouble = problem_of(slate, release.known, request.exclude)
        if trouble:
            raise StageError("order", "invalid", trouble)
        if not slate.items:
            raise StageError("order", "empty")
        return slate

    def _is_of_low_value(self, request: Request) -> bool:
        first, context = self._config.precomputed_first, request.context
        return not request.explain and any(context.get(name) in values for name, values in first.items())

    def _learn(self, requests: int, seconds: float) -> None:
        self.admission.learn(requests, seconds / self._lanes)


def problem_of(slate: Slate, known: Known, excluded: Sequence[str]) -> str:
    """Why a personalised slate may not go out: what no stage should ever hand on. Empty where it may."""
    ids = slate.item_ids
    scores = [item.score for item in slate.items] if slate.rung == PERSONALISED else ()
    problem = problem_in(ids, scores, known=known.issuperset(ids))
    if not problem and excluded and not set(excluded).isdisjoint(ids):
        return "an excluded item is in it"
    return problem
