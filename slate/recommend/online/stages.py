"""One batch of requests through the four stages, each with a limit of its own."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from slate.config.online import OnlineConfig
from slate.recommend.online.executor import StageError, StageExecutor
from slate.recommend.online.funnel import Funnel
from slate.recommend.online.pace import Pace
from slate.recommend.online.tracing import NoTracing, Tracing
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
#: Told what the filter stage handed on.
Filtered = Callable[[Any], None]


class Stages:
    """The executors of all stages; they outlive releases, so that what hangs stays counted."""

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
        self.executors = {name: StageExecutor(name, config.slots) for name in STAGES}
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

        def retrieve() -> tuple[Any, Any]:
            asks = funnel.prepare(requests)
            return asks, funnel.retrieve(asks)

        count, began = len(requests), time.perf_counter()
        asks, found = await self._run("retrieve", count, retrieve)
        kept = await self._run("filter", count, lambda: funnel.filter(asks, found))
        self._filtered(kept)
        scored = await self._run("score", count, lambda: funnel.score(asks, kept))
        slates = await self._run(
            "order", count, lambda: _checked(funnel.order(asks, requests, scored), requests)
        )
        self._pace.learn(_WHOLE, count, time.perf_counter() - began)
        return slates

    def close(self) -> None:
        for executor in self.executors.values():
            executor.close()

    async def _run(self, stage: str, count: int, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        trouble: str | None = None
        try:
            with self.tracing.stage(stage):
                return await self._outcome(stage, work)
        except StageError as error:
            trouble = error.reason
            raise
        finally:
            seconds = time.perf_counter() - began
            if trouble in (None, "late"):
                self._pace.learn(stage, count, seconds, stopped=trouble is not None)
            self._observe(stage, seconds, trouble)

    async def _outcome(self, stage: str, work: Callable[[], T]) -> T:
        try:
            return await self.executors[stage].run(work, self._seconds[stage])
        except StageError:
            raise
        except Exception as error:
            raise StageError(stage, "failed", f"{type(error).__name__}: {error}") from error


def _checked(slates: Any, requests: Sequence[Request]) -> Sequence[Slate]:
    fits = isinstance(slates, Sequence) and len(slates) == len(requests)
    if not fits or not all(isinstance(slate, Slate) for slate in slates):
        raise StageError("order", "invalid", f"not a slate for each of {len(requests)} requests")
    return tuple(slates)
