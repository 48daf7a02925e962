"""The part of the online state that a server reads; it writes none of it, so shadows may share it."""

import threading
from collections.abc import Callable, Collection
from typing import Protocol

from slate.feedback.state import ItemChange, LiveUser, Precomputed


class LiveReader(Protocol):
    """See :class:`slate.feedback.state.OnlineState`."""

    def users(self, user_ids: Collection[str]) -> dict[str, LiveUser]: ...

    def slate(self, release_id: str, user_id: str) -> Precomputed | None: ...

    def items(self, after: int) -> list[ItemChange]: ...

    def close(self) -> None: ...


class OpenedWhenAsked:
    """Opens the state at the first question, and again at the next one where that failed.

    So a server starts, and answers, while the state is down.
    """

    def __init__(self, open_state: Callable[[], LiveReader]) -> None:
        self._open = open_state
        self._lock = threading.Lock()
        self._state: LiveReader | None = None

    def get(self) -> LiveReader:
        """The state.

        Raises:
            SlateError: it cannot be opened.
        """
        with self._lock:
            if self._state is None:
                self._state = self._open()
            return self._state

    def close(self) -> None:
        """Close what was opened, unless somebody is still opening it."""
        if self._lock.acquire(blocking=False):
            try:
                if self._state is not None:
                    self._state.close()
                self._state = None
            finally:
                self._lock.release()
