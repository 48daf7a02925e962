"""Items that the request does not want."""

from slate.recommend.arrays import Rows
from slate.recommend.filters.base import Filtered, without
from slate.recommend.stages.records import Ask


class ExcludedFilter:
    """Removes what the request names in ``exclude``."""

    name = "excluded"

    def apply(self, ask: Ask, candidates: Rows) -> Filtered:
        return without(ask.excluded, candidates)

    def headroom(self, ask: Ask, _count: int, /) -> int:
        return len(ask.excluded)
