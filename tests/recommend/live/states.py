"""An online state that a test may break in several ways."""

import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from slate.errors import StorageError
from slate.feedback.sqlite_state import SqliteState
from slate.feedback.state import ItemChange, LiveUser, Precomputed


class Breakable:
    """A real state in an SQLite file; ``trouble`` is met before every read."""

    def __init__(self, path: Path) -> None:
        self.real = SqliteState(path)
        self.trouble: Callable[[], Any] = lambda: None
        self.asked = 0

    def users(self, user_ids: Collection[str]) -> dict[str, LiveUser]:
        self._meet()
        return self.real.users(user_ids)

    def slate(self, release_id: str, user_id: str) -> Precomputed | None:
        self._meet()
        return self.real.slate(release_id, user_id)

    def items(self, after: int) -> list[ItemChange]:
        self._meet()
        return self.real.items(after)

    def close(self) -> None:
        self.real.close()

    def _meet(self) -> None:
        self.asked += 1
        self.trouble()


def raises() -> None:
    raise StorageError("state: is gone; look at the server")


class Hangs:
    """Hangs until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def __call__(self) -> None:
        self.released.wait(30)
