"""What changes between two releases, as the parts of an answer see it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from slate.feedback.state import ItemChange, LiveUser
from slate.recommend.request import SlateItem

STRANGER: Final = LiveUser()


class Ahead(NamedTuple):
    """What is known of a user without a model: the slate made ahead, best first, and what they did since."""

    slate: Sequence[SlateItem] = ()
    user: LiveUser = STRANGER


class TakesItems(Protocol):
    """Wants to know of every item that was sent since its ``version``."""

    version: int

    @property
    def shown(self) -> int:
        """How many items are shown beside the release's."""
        ...

    @property
    def refused(self) -> int:
        """How many could not be."""
        ...

    def take(self, changes: Sequence[ItemChange]) -> None:
        """Learn of changes in order of their versions; called by one thread at a time."""
        ...


class LiveState(Protocol):
    """Looked at by every request, from several threads; answers within a limit of its own, and never raises.

    What cannot be had in time is taken to be nothing: the release alone answers then.
    """

    @property
    def new_items(self) -> int:
        """How many items that a release does not know may be shown beside its own."""
        ...

    def unavailable(self) -> Collection[str]:
        """Ids of items that are taken down. The same object as long as nothing changes."""
        ...

    def users(self, user_ids: Collection[str]) -> Mapping[str, LiveUser]:
        """What these users did and block; who is not in it, did nothing that is known."""
        ...

    async def ahead(self, release_id: str, user_id: str, seconds: float) -> Ahead:
        """The user's slate that this very release made ahead, within so long."""
        ...

    def tell(self, taker: TakesItems) -> None:
        """Tell ``taker`` of items that come and change, from now on and for as long as it lives."""
        ...

    def ignored(self, count: int) -> None:
        """So many events of a history name what the release does not know."""
        ...


class NothingLive:
    """No live state: the release says everything."""

    new_items = 0

    def unavailable(self) -> Collection[str]:
        return ()

    def users(self, _user_ids: Collection[str], /) -> Mapping[str, LiveUser]:
        return {}

    async def ahead(self, _release_id: str, _user_id: str, _seconds: float, /) -> Ahead:
        return Ahead()

    def tell(self, _taker: TakesItems, /) -> None:
        return

    def ignored(self, _count: int, /) -> None:
        return
