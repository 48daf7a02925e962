"""Live state as a batch run sees it: what was taken down when it began."""

from collections.abc import Collection, Iterable

from slate.recommend.live import NothingLive


class TakenDown(NothingLive):
    """Items that no slate shall hold. What users block is taken out when their slates are read."""

    def __init__(self, item_ids: Iterable[str]) -> None:
        self._item_ids = frozenset(item_ids)

    def unavailable(self) -> Collection[str]:
        return self._item_ids
