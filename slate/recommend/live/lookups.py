"""Questions to the online state that cost an answer nothing but freshness, whatever the state does."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

from slate.recommend.live.reader import LiveReader, OpenedWhenAsked
from slate.recommend.live.watch import BUSY, FAILED, LATE, PAUSED
from slate.recommend.threads import BoundedThreads

T = TypeVar("T")

_log = logging.getLogger(__name__)

#: So many failures in a row, and the state is left alone for so long.
FAILURES: Final = 5
PAUSE_SECONDS: Final = 1.0


class Lookups:
    """Asks in a few threads, and waits no longer than it may.

    After :data:`FAILURES` in a row nobody is asked for :data:`PAUSE_SECONDS`; then one question shows
    whether the state is back.

    Args:
        slots: how many questions may be under way, those that nobody waits for any more included.
        seconds: how long one is waited for.
        failed: told of every question without an answer: the operation and the reason.
    """

    def __init__(
        self,
        state: OpenedWhenAsked,
        slots: int,
        seconds: float,
        failed: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self._state = state
        self._seconds = seconds
        self._failed = failed
        self._threads = BoundedThreads("state", slots)
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._resumes = 0.0

    def ask(self, operation: str, question: Callable[[LiveReader], T]) -> T | None:
        """The answer, or None where there is none in time; waits in the caller's thread."""
        future = self._start(operation, question)
        if future is None:
            return None
        try:
            outcome = future.result(self._seconds)
        except TimeoutError:
            self._count(operation, LATE, f"nothing within {1000 * self._seconds:.0f} ms")
            return None
        return self._outcome(operation, outcome)

    async def ask_soon(self, operation: str, question: Callable[[LiveReader], T], seconds: float) -> T | None:
        """The same on an event loop, within ``seconds`` where that is less."""
        future = self._start(operation, question)
        if future is None:
            return None
        most = max(0.0, min(seconds, self._seconds))
        waiting = asyncio.wrap_future(future)
        done, _ = await asyncio.wait([waiting], timeout=most)
        if not done:
            self._count(operation, LATE, f"nothing within {1000 * most:.0f} ms")
            return None
        return self._outcome(operation, waiting.result())

    def close(self) -> None:
        """Let idle threads end."""
        self._threads.close()

    def _start(
        self, operation: str, question: Callable[[LiveReader], T]
    ) -> "Future[tuple[T | None, Exception | None]] | None":
        if not self._may_ask():
            self._failed(operation, PAUSED)
            return None

        def work() -> tuple[T | None, Exception | None]:
            try:
                return question(self._state.get()), None
            except Exception as error:
                return None, error

        future = self._threads.start(work)
        if future is None:
            self._count(operation, BUSY, "all questions before it are stuck")
        return future

    def _may_ask(self) -> bool:
        with self._lock:
            if self._in_a_row < FAILURES:
                return True
            now = time.monotonic()
            if now < self._resumes:
                return False
            self._resumes = now + PAUSE_SECONDS
            return True

    def _outcome(self, operation: str, outcome: tuple[T | None, Exception | None]) -> T | None:
        answer, error = outcome
        if error is not None:
            self._count(operation, FAILED, f"{type(error).__name__}: {error}")
            return None
        with self._lock:
            self._in_a_row = 0
        return answer

    def _count(self, operation: str, reason: str, detail: str) -> None:
        with self._lock:
            self._in_a_row += 1
            pauses = self._in_a_row == FAILURES
            if self._in_a_row >= FAILURES:
                self._resumes = time.monotonic() + PAUSE_SECONDS
        self._failed(operation, reason)
        if pauses:
            _log.warning("the online state is left alone for a while, answers go on without it: %s", detail)
