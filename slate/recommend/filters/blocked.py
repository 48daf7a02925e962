"""Items that the user never wants to see."""

from slate.recommend.arrays import Rows
from slate.recommend.filters.base import Filtered, without
from slate.recommend.stages.records import Ask


class BlockedFilter:
    """Removes what the request names in ``blocked``, and what live state holds for its user."""

    name = "blocked"

    def apply(self, ask: Ask, candidates: Rows) -> Filtered:
        return without(ask.blocked, candidates)

    def headroom(self, ask: Ask, _count: int, /) -> int:
        return len(ask.blocked)
