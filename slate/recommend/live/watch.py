"""What is told of the online state to whoever watches the server."""

from typing import Final, Protocol

USERS: Final = "users"
SLATE: Final = "slate"
ITEMS: Final = "items"
OPERATIONS: Final = (USERS, SLATE, ITEMS)

BUSY: Final = "busy"
FAILED: Final = "failed"
LATE: Final = "late"
PAUSED: Final = "paused"
REASONS: Final = (BUSY, FAILED, LATE, PAUSED)


class LiveWatch(Protocol):
    """Called from any thread; must neither block nor raise."""

    def state_failed(self, operation: str, reason: str) -> None:
        """The state gave nothing; see :data:`OPERATIONS` and :data:`REASONS`."""
        ...

    def looked_ahead(self, age: float | None) -> None:
        """A slate made ahead was looked for: its age in seconds, None where there is none."""
        ...

    def events_ignored(self, count: int) -> None:
        """So many events of a history name what the release does not know."""
        ...

    def items_known(self, taken_down: int, new: int, refused: int) -> None:
        """How many items are taken down, are shown beside the release's, and had no place or no model."""
        ...


class NobodyWatches:
    """Nobody is told."""

    def state_failed(self, _operation: str, _reason: str, /) -> None:
        return

    def looked_ahead(self, _age: float | None, /) -> None:
        return

    def events_ignored(self, _count: int, /) -> None:
        return

    def items_known(self, _taken_down: int, _new: int, _refused: int, /) -> None:
        return
