"""The online state as a batch run sees it: whatever time a look takes, and a failure ends the run."""

from collections.abc import Collection, Mapping

from slate.feedback.state import LiveUser, OnlineState
from slate.recommend.live import NothingLive


class LiveUsers(NothingLive):
    """What users did and block, as it is now, and what was taken down when the run began.

    Raises:
        StorageError: the state cannot be read; so does every method.
    """

    def __init__(self, state: OnlineState) -> None:
        self._state = state
        self._down = frozenset(change.item_id for change in state.items(0) if not change.available)

    def unavailable(self) -> Collection[str]:
        return self._down

    def users(self, user_ids: Collection[str], /) -> Mapping[str, LiveUser]:
        return self._state.users(user_ids)
