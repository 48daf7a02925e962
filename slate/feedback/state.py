"""What users did since the release, what was precomputed for them, and what changed in the catalogue."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol


class Happened(NamedTuple):
    """One event of a user's recent history; ``at`` in seconds since 1970.

    ``event_id`` is :func:`slate.feedback.records.identity`, not what the sender chose.
    """

    event_id: str
    item_id: str
    event: str
    at: float
    value: float | None = None


class LiveUser(NamedTuple):
    """A user's recent events, the oldest first, and the items that they never want to see."""

    history: Sequence[Happened] = ()
    blocked: frozenset[str] = frozenset()


class Precomputed(NamedTuple):
    """A slate made in advance: JSON as it is answered, and when it was made, in seconds since 1970."""

    slate: bytes
    at: float


class ItemChange(NamedTuple):
    """An item as it was last sent: its features as sent, and whether it may be shown.

    ``version`` grows with every change of any item, without saying by how much.
    """

    version: int
    item_id: str
    available: bool
    features: Mapping[str, object]
    at: float


class OnlineState(Protocol):
    """Small reads and writes that answers wait for, so each takes one round trip.

    Every method raises StorageError where the state cannot be reached or read in its time.
    """

    def remember(self, happened: Mapping[str, Sequence[Happened]], keep: int) -> None:
        """Add events to users' histories, ordered by time; the latest ``keep`` of a user stay.

        An event id that is there already is not added again.
        """
        ...

    def history(self, user_id: str) -> list[Happened]:
        """A user's recent events, the oldest first; empty for a stranger."""
        ...

    def block(self, user_id: str, item_ids: Sequence[str]) -> None:
        """Never show these to the user."""
        ...

    def blocked(self, user_id: str) -> frozenset[str]:
        """What the user never wants to see."""
        ...

    def users(self, user_ids: Collection[str]) -> dict[str, LiveUser]:
        """History and blocked items of several users at once; who has neither is left out."""
        ...

    def put_slates(self, release_id: str, slates: Mapping[str, bytes], seconds: float) -> None:
        """Keep precomputed slates of one release for so long."""
        ...

    def slate(self, release_id: str, user_id: str) -> Precomputed | None:
        """The slate of this release for the user, unless it has expired."""
        ...

    def drop_slates(self, keep: Sequence[str]) -> int:
        """Remove the slates of every release but these; how many went. What has expired goes, too."""
        ...

    def put_items(self, items: Sequence[tuple[str, bool, Mapping[str, object]]]) -> int:
        """Upsert items as ``(item_id, available, features)``; the version after that."""
        ...

    def items(self, after: int) -> list[ItemChange]:
        """The latest change of each item whose version is above ``after``, in order of versions."""
        ...

    def close(self) -> None: ...
