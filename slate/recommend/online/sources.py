"""Ask sources side by side, so that one that fails or hangs costs no more than its own candidates."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from slate.recommend.arrays import Rows
from slate.recommend.stages.retrieve import Call, one_by_one
from slate.recommend.threads import BoundedThreads

_log = logging.getLogger(__name__)

#: Told of each failure: the source, and why it gave nothing (busy, late or failed).
Failed = Callable[[str, str], None]


class SourceThreads:
    """Threads for each source, by its name; they outlive releases, so that what hangs stays counted.

    A source that is alone is asked in the caller's thread: its trouble is its stage's.

    Args:
        slots: how many calls may be in a source at once, those left behind included.
        seconds: how long all sources together may take.
        failed: told of each source that gave nothing.
    """

    def __init__(self, slots: int, seconds: float, failed: Failed = lambda *_: None) -> None:
        self._slots = slots
        self._seconds = seconds
        self._failed = failed
        self._lock = threading.Lock()
        self._threads: dict[str, BoundedThreads] = {}
        self.failures = 0

    def gather(self, calls: Sequence[Call]) -> list[list[Rows] | None]:
        """What each source named, None for one that gave nothing in time."""
        if len(calls) == 1:
            try:
                return one_by_one(calls)
            except Exception as error:
                self._count(calls[0].source, "failed", error)
                raise
        ends = time.monotonic() + self._seconds
        futures = [self._of(call.source).start(call.work) for call in calls]
        return [self._outcome(call.source, each, ends) for call, each in zip(calls, futures, strict=True)]

    def held(self, source: str) -> int:
        """How many calls are in a source."""
        return self._of(source).held

    def close(self) -> None:
        """Let idle threads end; one that hangs ends with the process."""
        for threads in self._threads.values():
            threads.close()

    def _of(self, source: str) -> BoundedThreads:
        with self._lock:
            if source not in self._threads:
                self._threads[source] = BoundedThreads(f"source-{source}", self._slots)
            return self._threads[source]

    def _outcome(self, source: str, future: "Future[list[Rows]] | None", ends: float) -> list[Rows] | None:
        if future is None:
            self._count(source, "busy", f"all {self._slots} slots are stuck")
            return None
        try:
            return future.result(max(0.0, ends - time.monotonic()))
        except TimeoutError:
            # Also what a source raises itself when what it asks does not answer.
            self._count(source, "late", f"nothing within {1000 * self._seconds:.0f} ms")
        except Exception as error:
            self._count(source, "failed", error)
        return None

    def _count(self, source: str, reason: str, detail: object) -> None:
        with self._lock:
            self.failures += 1
        self._failed(source, reason)
        name = f"{type(detail).__name__}: " if isinstance(detail, Exception) else ""
        _log.warning("source %s gave nothing, %s: %s%s", source, reason, name, detail)
