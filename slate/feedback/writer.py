"""Records go to a queue from a thread of their own: whoever writes never waits and never fails."""

import logging
import os
import threading
from collections import deque
from itertools import count
from typing import Final, NamedTuple

from slate.errors import StorageError
from slate.feedback.later import Appends

_log = logging.getLogger(__name__)

_BATCH: Final = 500
_PAUSE_SECONDS: Final = 0.05
_RETRY_SECONDS: Final = 1.0
#: How long a queue should remember the ids of what is written here: as long as a lost answer is retried.
RETRIED_SECONDS: Final = 3600.0


class _Waiting(NamedTuple):
    record: bytes
    name: str


class BackgroundWriter:
    """Appends to one stream in batches. What does not fit, or cannot be written, is dropped and counted.

    A batch of which nobody knows whether it was written is sent again, under the same ids, so it counts once.

    The ids rise, so that those of one writer lie side by side in a store that keeps them in order.

    Args:
        capacity: how many records may wait.
    """

    def __init__(self, queue: Appends, stream: str, capacity: int = 10_000) -> None:
        self._queue = queue
        self._stream = stream
        self._capacity = capacity
        self._waiting: deque[_Waiting] = deque()
        self._own = os.urandom(8).hex()
        self._numbers = count()
        self._wake = threading.Event()
        self._closing = False
        self.dropped = 0
        self.written = 0
        self._thread = threading.Thread(target=self._run, name=f"write-{stream}", daemon=True)
        self._thread.start()

    def put(self, record: bytes) -> bool:
        """Take a record in; false where it was dropped. Never blocks."""
        if len(self._waiting) >= self._capacity or self._closing:
            self.dropped += 1
            return False
        self._waiting.append(_Waiting(record, f"{self._own}-{next(self._numbers):012x}"))
        return True

    def close(self, seconds: float = 5.0) -> None:
        """Write what waits, for at most so long; the rest is dropped and counted."""
        self._closing = True
        self._wake.set()
        self._thread.join(seconds)
        self.dropped += len(self._waiting)
        self._waiting.clear()

    def _run(self) -> None:
        pause = _PAUSE_SECONDS
        while True:
            self._wake.wait(pause)
            pause = _PAUSE_SECONDS
            while self._waiting:
                batch = [self._waiting[place] for place in range(min(_BATCH, len(self._waiting)))]
                try:
                    self._queue.append(
                        self._stream, [one.record for one in batch], [one.name for one in batch]
                    )
                except StorageError as error:
                    _log.warning("%s: %d records wait: %s", self._stream, len(self._waiting), error)
                    pause = _RETRY_SECONDS
                    break
                for _ in batch:
                    self._waiting.popleft()
                self.written += len(batch)
            if self._closing:
                return
