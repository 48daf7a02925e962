"""A few threads for calls that may hang: what does not come back keeps its slot, and no more follow it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class BoundedThreads:
    """Threads of one name; daemons, since a native call that hangs cannot be ended.

    Args:
        slots: how many calls may be under way at once, those that nobody waits for included.
    """

    def __init__(self, name: str, slots: int) -> None:
        self._name = name
        self._slots = slots
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._count = 0
        self.held = 0

    def start(self, work: Callable[[], T]) -> "Future[T] | None":
        """Begin, or None where every slot is held."""
        with self._lock:
            if self.held >= self._slots:
                return None
            self.held += 1
            more = self.held > self._count
            self._count += more
        future: Future[T] = Future()
        self._jobs.put((work, future))
        if more:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        return future

    def close(self) -> None:
        """Let idle threads end; one that hangs ends with the process."""
        for _ in range(self._count):
            self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, future = job
            try:
                answer = work()
            except BaseException as error:
                self._leave()
                future.set_exception(error)
            else:
                self._leave()
                future.set_result(answer)

    def _leave(self) -> None:
        with self._lock:
            self.held -= 1
