"""Stages one after the other in one thread, each within its own time and slots.

A thread that is handed from stage to stage by the event loop waits for the loop at each of them, and the loop
for the interpreter: on a busy core that takes longer than the cheap stages do. So the thread goes on by
itself wherever the next stage has a free slot, and the loop looks at the clock only when a stage could be
late.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from slate.recommend.online.slots import Slots
from slate.recommend.online.trouble import StageError
from slate.recommend.online.workers import Workers


class Step(NamedTuple):
    """One stage of a course: its slots, how many seconds it may take, waiting included, and its work."""

    slots: Slots
    seconds: float
    work: Callable[[], Any]


class Lap(NamedTuple):
    """What became of a step: when it began on the monotonic clock, its seconds, and what it raised."""

    stage: str
    began: float
    seconds: float
    error: BaseException | None = None


class Course:
    """One way through some stages; made and run once, on the event loop.

    ``laps`` tell of the steps that ended, in their order, also of the one that failed or was left behind.
    """

    def __init__(self, workers: Workers, steps: Sequence[Step]) -> None:
        self._workers = workers
        self._steps = steps
        self._at = 0
        self._held = steps[0].slots
        self._since = 0.0
        self._result: Any = None
        self._lock = threading.Lock()
        self._left = False
        self._working = False
        self._loop = asyncio.get_running_loop()
        self._back: asyncio.Future[None]
        self._timer: asyncio.TimerHandle | None = None
        self.laps: list[Lap] = []

    async def run(self) -> Any:
        """What the last step gives; what a step raises is raised.

        Raises:
            StageError: ``busy``, all slots of a step are held by work that does not come back, or the system
                gives no thread; ``late``, it had no slot, or no result, in time.
        """
        self._since = time.monotonic()
        while self._at < len(self._steps):
            await self._slot(self._steps[self._at])
            self._back = self._loop.create_future()
            self._start(self._steps[self._at])
            self._watch()
            try:
                await self._back
            except asyncio.CancelledError:
                self._leave()
                raise
            finally:
                if self._timer is not None:
                    self._timer.cancel()
            if (error := self.laps[-1].error) is not None:
                raise error
        return self._result

    async def _slot(self, step: Step) -> None:
        if step.slots.take():
            return
        try:
            await step.slots.wait(self._since + step.seconds)
        except StageError as error:
            self._ended(step, error)
            raise

    def _start(self, step: Step) -> None:
        self._working = True
        try:
            self._workers.start(self._work, self._come_back)
        except RuntimeError as error:
            self._working = False
            step.slots.release()
            trouble = StageError(step.slots.name, "busy", str(error))
            self._ended(step, trouble)
            raise trouble from error

    def _work(self) -> None:
        """In a thread: this step, and those behind it that have a slot free."""
        going = True
        while going:
            step = self._steps[self._at]
            error: BaseException | None = None
            try:
                self._result = step.work()
            except BaseException as raised:
                error = raised
            with self._lock:
                self._held = step.slots
                if self._left:
                    return
                self._ended(step, error)
                self._at += 1
                going = error is None and self._at < len(self._steps) and self._steps[self._at].slots.take()
                self._working = going
            if going:
                step.slots.release()

    def _come_back(self) -> None:
        """From the thread, which can be given other work from now on."""
        self._held.release(stuck=self._left)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._go_on)

    def _ended(self, step: Step, error: BaseException | None) -> None:
        now = time.monotonic()
        self.laps.append(Lap(step.slots.name, self._since, now - self._since, error))
        self._since = now

    def _go_on(self) -> None:
        if not self._back.done():
            self._back.set_result(None)

    def _watch(self) -> None:
        """Leave a step behind whose time is up; else look again when one could next be late."""
        with self._lock:
            if not self._working:
                return
            step, later = self._steps[self._at], self._steps[self._at + 1 :]
            now = time.monotonic()
            left = self._since + step.seconds - now
            if left <= 0:
                self._strand(step, "")
                self._go_on()
                return
        again = min([left, *(each.seconds for each in later)])
        self._timer = self._loop.call_later(again, self._watch)

    def _leave(self) -> None:
        """Nobody waits for the result any more."""
        with self._lock:
            if self._working:
                self._strand(self._steps[self._at], "nobody waits for it")

    def _strand(self, step: Step, detail: str) -> None:
        self._left = True
        self._working = False
        self._ended(step, StageError(step.slots.name, "late", detail))
        step.slots.strand()
