"""Requests that wait together are answered together; nobody waits for a batch to fill."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from slate.recommend.online.funnel import Funnel
from slate.recommend.online.stages import Stages
from slate.recommend.online.trouble import StageError
from slate.recommend.request import Request, Slate

#: How many answers go out before the loop looks again at what came meanwhile; one takes it 0.1 or 0.2 ms.
_AT_ONCE: Final = 8


@dataclass(frozen=True, eq=False)
class _Waiting:
    request: Request
    future: "asyncio.Future[Slate]"
    traced: object


class Batches:
    """The requests of one release.

    A batch begins as soon as a lane is free, with whatever waits then: one request when it is quiet, many
    under load, and never more than the stages are expected to do in time.

    Args:
        lanes: how many batches are under way at once.
        learn: told of the size and seconds of every batch that was answered.
    """

    def __init__(
        self,
        funnel: Funnel,
        stages: Stages,
        lanes: int,
        learn: Callable[[int, float], None] = lambda *_: None,
    ) -> None:
        self._funnel = funnel
        self._stages = stages
        self._free = lanes
        self._learn = learn
        self._waiting: deque[_Waiting] = deque()
        self._under_way: set[asyncio.Task[None]] = set()

    async def answer(self, request: Request, ends: float) -> Slate:
        """A personalised slate by the loop's time ``ends``.

        Raises:
            StageError: there is none.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(request, loop.create_future(), self._stages.tracing.under_way())
        self._waiting.append(waiting)
        self._begin(loop)
        timer = loop.call_at(ends, _expire, waiting)
        try:
            return await waiting.future
        finally:
            timer.cancel()

    @property
    def idle(self) -> bool:
        """Whether nothing is asked of this release any more."""
        return not self._waiting and not self._under_way

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._free and self._waiting:
            batch: list[_Waiting] = []
            while self._waiting and len(batch) < self._stages.most:
                waiting = self._waiting.popleft()
                if not waiting.future.done():
                    batch.append(waiting)
            if not batch:
                return
            self._free -= 1
            self._go(loop, self._lane(batch))

    def _go(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
        task = loop.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _lane(self, batch: Sequence[_Waiting]) -> None:
        began = time.perf_counter()
        try:
            if await self._deliver(batch):
                self._learn(len(batch), time.perf_counter() - began)
        finally:
            self._free += 1
            self._begin(asyncio.get_running_loop())

    async def _deliver(self, batch: Sequence[_Waiting]) -> bool:
        """Whether the stages gave slates. What hangs or breaks says nothing of how long answers take."""
        try:
            with self._stages.tracing.batch([waiting.traced for waiting in batch]):
                slates = await self._stages.slates(self._funnel, [waiting.request for waiting in batch])
        except StageError as error:
            if len(batch) > 1 and error.reason in ("failed", "invalid"):
                # One request's trouble is not that of those it was batched with.
                for waiting in batch:
                    if not waiting.future.done():
                        await self._deliver([waiting])
                return False
            for waiting in batch:
                if not waiting.future.done():
                    waiting.future.set_exception(error)
            return False
        given = list(zip(batch, slates, strict=True))
        _give(given[:_AT_ONCE])
        if len(given) > _AT_ONCE:
            self._go(asyncio.get_running_loop(), _give_on(given[_AT_ONCE:]))
        return True


async def _give_on(given: Sequence[tuple[_Waiting, Slate]]) -> None:
    """While the next batch is under way."""
    for start in range(0, len(given), _AT_ONCE):
        await asyncio.sleep(0)
        _give(given[start : start + _AT_ONCE])


def _give(given: Iterable[tuple[_Waiting, Slate]]) -> None:
    for waiting, slate in given:
        if not waiting.future.done():
            waiting.future.set_result(slate)


def _expire(waiting: _Waiting) -> None:
    if not waiting.future.done():
        waiting.future.set_exception(StageError("funnel", "late", "the request's time is up"))
