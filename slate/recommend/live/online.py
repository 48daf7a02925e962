"""The live state of a server: the online state, read within limits."""

from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from slate.clock import Clock, SystemClock
from slate.config.online import OnlineConfig
from slate.errors import DataError
from slate.feedback.state import LiveUser, Precomputed
from slate.recommend.live.base import STRANGER, Ahead, TakesItems
from slate.recommend.live.follower import ItemFollower
from slate.recommend.live.lookups import Lookups
from slate.recommend.live.reader import LiveReader, OpenedWhenAsked
from slate.recommend.live.watch import FAILED, ITEMS, SLATE, USERS, LiveWatch, NobodyWatches
from slate.recommend.precompute.form import unpacked

#: How long the first look at the items may keep a server from starting.
_PATIENCE: Final = 2.0


class _Found(NamedTuple):
    slate: Precomputed | None
    user: LiveUser


class OnlineLive:
    """See :class:`slate.recommend.live.base.LiveState`. Reads only, whichever variant it serves.

    Args:
        open_state: opens the state; called again after it failed.
        watch: told of what fails, and of what is found.
    """

    def __init__(
        self,
        open_state: Callable[[], LiveReader],
        config: OnlineConfig,
        watch: LiveWatch | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._watch = watch or NobodyWatches()
        # A look at many items must not make users wait for the same connection.
        self._asked, self._followed = OpenedWhenAsked(open_state), OpenedWhenAsked(open_state)
        self._lookups = Lookups(self._asked, config.slots, config.live_ms / 1000, self._watch.state_failed)
        self._follower = ItemFollower(self._followed, config.items_s, self._looked)
        self.new_items = config.new_items

    def start(self) -> None:
        """Begin to follow the items."""
        self._follower.start(_PATIENCE)

    def close(self) -> None:
        """End; a call that hangs ends with the process."""
        self._follower.stop()
        self._lookups.close()
        self._asked.close()
        self._followed.close()

    def unavailable(self) -> Collection[str]:
        return self._follower.unavailable

    def users(self, user_ids: Collection[str]) -> Mapping[str, LiveUser]:
        if not user_ids:
            return {}
        return self._lookups.ask(USERS, lambda state: state.users(user_ids)) or {}

    async def ahead(self, release_id: str, user_id: str, seconds: float) -> Ahead:
        def question(state: LiveReader) -> _Found:
            found = state.slate(release_id, user_id)
            return _Found(found, state.users([user_id]).get(user_id, STRANGER))

        found = await self._lookups.ask_soon(SLATE, question, seconds)
        if found is None:
            return Ahead()
        if found.slate is None:
            self._watch.looked_ahead(None)
            return Ahead((), found.user)
        try:
            slate = unpacked(found.slate.slate)
        except DataError:
            self._watch.state_failed(SLATE, FAILED)
            return Ahead((), found.user)
        self._watch.looked_ahead(max(0.0, self._clock.now().timestamp() - found.slate.at))
        return Ahead(slate, found.user)

    def tell(self, taker: TakesItems) -> None:
        self._follower.tell(taker)

    def ignored(self, count: int) -> None:
        if count:
            self._watch.events_ignored(count)

    def _looked(self, trouble: Exception | None) -> None:
        if trouble is not None:
            self._watch.state_failed(ITEMS, FAILED)
        takers = self._follower.takers
        # The release that was loaded last is the one that answers, or is about to.
        shown, refused = (takers[-1].shown, takers[-1].refused) if takers else (0, 0)
        self._watch.items_known(len(self._follower.unavailable), shown, refused)
