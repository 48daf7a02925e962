"""Threads that work through what they are given; as many as there ever was work at once."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from slate.recommend.online.turns import ANSWERING, step_back

_STOP: Final = None


class Workers:
    """Daemons, since a native call that hangs cannot be ended. Whoever gives work bounds how much of it.

    Args:
        name: of the threads.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._busy = 0
        self._jobs: SimpleQueue[tuple[Callable[[], None], Callable[[], None]] | None] = SimpleQueue()
        self.count = 0

    def start(self, work: Callable[[], None], then: Callable[[], None]) -> None:
        """Do ``work`` in a thread that is idle or new, and ``then`` when that is idle again.

        Neither may raise.

        Raises:
            RuntimeError: the system gives no thread; then nothing is done.
        """
        with self._lock:
            self._busy += 1
            more = self._busy > self.count
            self.count += more
        if more:
            try:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
            except RuntimeError:
                with self._lock:
                    self._busy -= 1
                    self.count -= 1
                raise
        self._jobs.put((work, then))

    def close(self) -> None:
        """Let idle threads end; one that hangs ends with the process."""
        with self._lock:
            count, self.count = self.count, 0
        for _ in range(count):
            self._jobs.put(_STOP)

    def _run(self) -> None:
        step_back(ANSWERING)
        while (job := self._jobs.get()) is not _STOP:
            work, then = job
            work()
            with self._lock:
                self._busy -= 1
            then()
