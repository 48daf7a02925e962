"""One batch of requests through the four stages, each with a limit of its own."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from slate.config.online import OnlineConfig
from slate.recommend.online.course import Course, Lap, Step
from slate.recommend.online.funnel import Funnel
from slate.recommend.online.pace import Pace
from slate.recommend.online.slots import Slots
from slate.recommend.online.tracing import NoTracing, Tracing
from slate.recommend.online.trouble import StageError
from slate.recommend.online.workers import Workers
from slate.recommend.request import Request, Slate

T = TypeVar("T")

STAGES: Final = ("retrieve", "filter", "score", "order")
#: The share of its limit that a stage may be expected to take: what else runs meanwhile is not known.
_EXPECTED: Final = 0.5
#: The share of a deadline that a batch may be expected to take; those that come meanwhile wait for its end.
_WHOLE_EXPECTED: Final = 0.25
_WHOLE: Final = "whole"
#: Told of each call: the stage, its seconds, and why it gave nothing (None where it did).
Observer = Callable[[str, float, str | None], None]
#: Told what the filter stage handed on, from a thread; what it raises is the stage's failure.
Filtered = Callable[[Any], None]


class Stages:
    """The slots and threads of all stages; they outlive releases, so that what hangs stays counted."""

    def __init__(
        self,
        config: OnlineConfig,
        observe: Observer = lambda *_: None,
        filtered: Filtered = lambda _: None,
        tracing: Tracing | None = None,
    ) -> None:
        limits = (config.retrieve_ms, config.filter_ms, config.score_ms, config.order_ms)
        self._seconds = {name: limit / 1000 for name, limit in zip(STAGES, limits, strict=True)}
        allowed = {name: _EXPECTED * seconds for name, seconds in self._seconds.items()}
        self._pace = Pace({**allowed, _WHOLE: _WHOLE_EXPECTED * config.deadline_ms / 1000}, config.batch)
        self.slots = {name: Slots(name, config.slots) for name in STAGES}
        self._workers = Workers("stages")
        self._observe = observe
        self._filtered = filtered
        self.tracing = tracing or NoTracing()

    @property
    def most(self) -> int:
        """How many requests a batch may hold now."""
        return self._pace.most

    async def slates(self, funnel: Funnel, requests: Sequence[Request]) -> Sequence[Slate]:
        """A personalised slate for every request, or nothing for any.

        Raises:
            StageError: a stage was late, busy, raised, or gave what cannot be a result.
        """
        batch = _Batch(funnel, requests, self._filtered)
        works = (batch.retrieve, batch.filter, batch.score, batch.order)
        course = Course(
            self._workers,
            [
                Step(self.slots[name], self._seconds[name], work)
                for name, work in zip(STAGES, works, strict=True)
            ],
        )
        try:
            slates: Sequence[Slate] = await course.run()
        except StageError:
            raise
        except Exception as error:
            raise StageError(course.laps[-1].stage, "failed", f"{type(error).__name__}: {error}") from error
        else:
            self._pace.learn(_WHOLE, len(requests), sum(lap.seconds for lap in course.laps))
            return slates
        finally:
            self._tell(len(requests), course.laps)

    async def scores(self, work: Callable[[], T], seconds: float) -> T:
        """What a piece of work gives that takes part in no batch, in a slot of the third stage.

        Raises:
            StageError: it was late or busy; what it raises itself is raised.
        """
        scores: T = await Course(self._workers, [Step(self.slots["score"], seconds, work)]).run()
        return scores

    def all_stuck(self, stage: str) -> bool:
        """Whether nothing can enter a stage, if it is one, until something in it comes back."""
        slots = self.slots.get(stage)
        return slots is not None and slots.stuck >= slots.count

    def close(self) -> None:
        self._workers.close()

    def _tell(self, count: int, laps: Sequence[Lap]) -> None:
        for lap in laps:
            trouble = None if lap.error is None else _reason(lap.error)
            if trouble in (None, "late"):
                self._pace.learn(lap.stage, count, lap.seconds, stopped=trouble is not None)
            self._observe(lap.stage, lap.seconds, trouble)
            self.tracing.stage(lap.stage, lap.began, lap.seconds, trouble)


class _Batch:
    """Requests on their way through the stages of one release."""

    def __init__(self, funnel: Funnel, requests: Sequence[Request], filtered: Filtered) -> None:
        self._funnel = funnel
        self._requests = requests
        self._filtered = filtered
        self._asks: Any = None
        self._given: Any = None

    def retrieve(self) -> None:
        self._asks = self._funnel.prepare(self._requests)
        self._given = self._funnel.retrieve(self._asks)

    def filter(self) -> None:
        self._given = self._funnel.filter(self._asks, self._given)
        self._filtered(self._given)

    def score(self) -> None:
        self._given = self._funnel.score(self._asks, self._given)

    def order(self) -> Sequence[Slate]:
        return _checked(self._funnel.order(self._asks, self._requests, self._given), self._requests)


def _reason(error: BaseException) -> str:
    return error.reason if isinstance(error, StageError) else "failed"


def _checked(slates: Any, requests: Sequence[Request]) -> Sequence[Slate]:
    fits = isinstance(slates, Sequence) and len(slates) == len(requests)
    if not fits or not all(isinstance(slate, Slate) for slate in slates):
        raise StageError("order", "invalid", f"not a slate for each of {len(requests)} requests")
    return tuple(slates)
