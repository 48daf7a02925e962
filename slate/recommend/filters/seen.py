"""Items that the user interacted with before."""

from slate.recommend.arrays import Rows
from slate.recommend.filters.base import Filtered, without
from slate.recommend.stages.records import Ask


class SeenFilter:
    """Removes what is in the user's past."""

    name = "seen"

    def apply(self, ask: Ask, candidates: Rows) -> Filtered:
        return without(ask.seen, candidates)

    def headroom(self, ask: Ask, _count: int, /) -> int:
        return len(ask.seen)
