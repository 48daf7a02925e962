"""What changes between two releases: items taken down, and what users block."""

from collections.abc import Collection
from typing import Protocol


class LiveState(Protocol):
    """Looked at by every request, from several threads; must answer from memory."""

    def unavailable(self) -> Collection[str]:
        """Ids of items that are taken down. The same object as long as nothing changes."""
        ...

    def blocked(self, user_id: str, /) -> Collection[str]:
        """Ids of items that this user never wants to see."""
        ...


class NothingLive:
    """No live state: the release says everything."""

    def unavailable(self) -> Collection[str]:
        return ()

    def blocked(self, _user_id: str, /) -> Collection[str]:
        return ()
