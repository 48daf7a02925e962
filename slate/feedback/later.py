"""A queue to write to that need not be there yet."""

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from slate.errors import ConfigError, StorageError


class Appends(Protocol):
    """See :meth:`slate.feedback.queue.Queue.append`."""

    def append(self, stream: str, records: Sequence[bytes], ids: Sequence[str] = ()) -> list[bool]: ...


class OpenedLater:
    """Opens a queue when something is first written, and again at the next write where that failed.

    So a server starts, and answers, while the store is down. What is wrong with its settings is a failure of
    each write then.
    """

    def __init__(self, open_queue: Callable[[], Appends]) -> None:
        self._open = open_queue
        self._lock = threading.Lock()
        self._queue: Appends | None = None

    def append(self, stream: str, records: Sequence[bytes], ids: Sequence[str] = ()) -> list[bool]:
        """Write; see :class:`Appends`.

        Raises:
            StorageError: nothing was written, or nobody knows.
        """
        with self._lock:
            if self._queue is None:
                try:
                    self._queue = self._open()
                except ConfigError as error:
                    raise StorageError(str(error)) from error
            queue = self._queue
        return queue.append(stream, records, ids)
