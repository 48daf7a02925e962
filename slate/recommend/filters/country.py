"""Items that may not be shown where the request comes from."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from slate.data import values
from slate.recommend.arrays import Rows
from slate.recommend.filters.base import Filtered, spare
from slate.recommend.stages.records import Ask

_NONE: Final[Rows] = np.empty(0, np.int32)


class CountryFilter:
    """Removes items that name countries, but not the request's. One that names none is shown everywhere.

    A request from nowhere loses nothing. Countries are compared without regard to case.

    Args:
        countries: those of each item, by catalogue row.
        request: the attribute of requests that names theirs.
    """

    name = "country"

    def __init__(self, countries: Sequence[Sequence[str]], request: str) -> None:
        self._request = request
        self._somewhere = np.asarray([bool(names) for names in countries], np.bool_)
        self._named = int(np.count_nonzero(self._somewhere))
        rows: dict[str, list[int]] = {}
        for row, names in enumerate(countries):
            for name in dict.fromkeys(name.casefold() for name in names):
                rows.setdefault(name, []).append(row)
        self._allowed = {name: np.asarray(own, np.int32) for name, own in rows.items()}

    def apply(self, ask: Ask, candidates: Rows) -> Filtered:
        country = self._country(ask)
        if not country:
            return Filtered(len(candidates))
        hit = self._somewhere[candidates]
        return Filtered.by(hit & ~np.isin(candidates, self._allowed.get(country, _NONE)))

    def headroom(self, ask: Ask, count: int, /) -> int:
        country = self._country(ask)
        if not country:
            return 0
        removed = self._named - len(self._allowed.get(country, _NONE))
        return spare(count, removed, len(self._somewhere))

    def _country(self, ask: Ask) -> str:
        return values.spelled(ask.attribute(self._request)).casefold()
