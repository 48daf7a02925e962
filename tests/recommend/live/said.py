"""Live state that a test says."""

from collections.abc import Collection, Mapping, Sequence

from slate.recommend.live import STRANGER, Ahead, LiveUser, NothingLive
from slate.recommend.request import SlateItem


class Said(NothingLive):
    """``down`` items, ``known`` users and their ``slates`` by user; ``broken`` says nothing any more."""

    def __init__(
        self,
        down: Collection[str] = (),
        known: Mapping[str, LiveUser] | None = None,
        slates: Mapping[str, Sequence[SlateItem]] | None = None,
    ) -> None:
        self.down = down
        self.known = dict(known or {})
        self.slates = dict(slates or {})
        self.unknown = 0
        self.asked: list[Collection[str]] = []
        self.broken = False

    def unavailable(self) -> Collection[str]:
        if self.broken:
            raise OSError("no live state")
        return self.down

    def users(self, user_ids: Collection[str], /) -> Mapping[str, LiveUser]:
        self.asked.append(user_ids)
        return {user: self.known[user] for user in user_ids if user in self.known}

    async def ahead(self, _release_id: str, user_id: str, _seconds: float, /) -> Ahead:
        return Ahead(self.slates.get(user_id, ()), self.known.get(user_id, STRANGER))

    def ignored(self, count: int, /) -> None:
        self.unknown += count
