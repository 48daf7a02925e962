"""Run a stage's work in a few threads of its own, and stop waiting for it in time.

A thread inside a native call cannot be stopped. What nobody waits for any more keeps its slot until it
comes back, so a stage that hangs holds a bounded number of threads; when all of them are held, the stage
fails at once instead of collecting more.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

from slate.errors import SlateError

T = TypeVar("T")

_STOP: Final = None


class StageError(SlateError):
    """A stage gave no usable result: ``reason`` is busy, late, failed or invalid."""

    def __init__(self, stage: str, reason: str, detail: str = "") -> None:
        super().__init__(f"{stage}: {reason}{f', {detail}' if detail else ''}")
        self.stage = stage
        self.reason = reason


class _Job(Generic[T]):
    """One piece of work and the future that somebody waits for, on the loop of whoever asked."""

    def __init__(self, work: Callable[[], T], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.loop = loop
        self.future: asyncio.Future[T] = loop.create_future()
        self.abandoned = False


class StageExecutor:
    """The threads of one stage.

    Args:
        name: the stage's, for errors and thread names.
        slots: how many pieces of work may be in it at once, those that nobody waits for included.
    """

    def __init__(self, name: str, slots: int) -> None:
        self.name = name
        self.slots = slots
        self._free = slots
        self._stuck = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    @property
    def stuck(self) -> int:
        """Slots held by work that nobody waits for any more."""
        return self._stuck

    async def run(self, work: Callable[[], T], seconds: float) -> T:
        """Do ``work`` in a thread; what it raises is raised here.

        Raises:
            StageError: ``busy``, all slots are held by work that does not come back; ``late``, there was
                no result, or no free slot, within ``seconds``.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        await self._slot(loop, ends)
        job = _Job(work, loop)
        self._start(job)
        timer = loop.call_at(ends, self._abandon, job)
        try:
            return await job.future
        except asyncio.CancelledError:
            self._abandon(job)
            raise
        finally:
            timer.cancel()

    def close(self) -> None:
        """Let idle threads end; one that hangs ends with the process."""
        for _ in self._threads:
            self._jobs.put(_STOP)
        self._threads.clear()

    async def _slot(self, loop: asyncio.AbstractEventLoop, ends: float) -> None:
        while not self._free:
            if self._stuck >= self.slots:
                raise StageError(self.name, "busy", f"all {self.slots} slots are stuck")
            turn = loop.create_future()
            self._waiting.append(turn)
            try:
                async with asyncio.timeout_at(ends):
                    await turn
            except TimeoutError:
                raise StageError(self.name, "late", "no slot became free") from None
            finally:
                if turn in self._waiting:
                    self._waiting.remove(turn)
        self._free -= 1

    def _start(self, job: _Job[Any]) -> None:
        self._jobs.put(job)
        if len(self._threads) < self.slots - self._free:
            thread = threading.Thread(target=self._work, name=f"stage-{self.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _abandon(self, job: _Job[Any]) -> None:
        if job.future.done() and not job.future.cancelled():
            return
        if job.abandoned:
            return
        job.abandoned = True
        self._stuck += 1
        if not job.future.done():
            job.future.set_exception(StageError(self.name, "late"))
        if self._stuck >= self.slots:
            self._wake(all_of_them=True)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not _STOP:
            try:
                result, error = job.work(), None
            except BaseException as raised:
                result, error = None, raised
            try:
                job.loop.call_soon_threadsafe(self._finished, job, result, error)
            except RuntimeError:  # the loop is closed: nobody waits
                return

    def _finished(self, job: _Job[Any], result: Any, error: BaseException | None) -> None:
        self._free += 1
        if job.abandoned:
            self._stuck -= 1
        elif not job.future.done():
            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(error)
        self._wake()

    def _wake(self, *, all_of_them: bool = False) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                if not all_of_them:
                    return
