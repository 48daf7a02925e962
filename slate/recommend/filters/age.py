"""Items that are not for everybody's age."""

import math

import numpy as np
import numpy.typing as npt

from slate.data import values
from slate.recommend.arrays import Rows
from slate.recommend.filters.base import Filtered, spare
from slate.recommend.stages.records import Ask


class AgeFilter:
    """Removes items whose least age is above the user's. An item without one is for all.

    Args:
        least: years by catalogue row, NaN where there is none.
        request: the attribute of requests that says how old the user is.
        assumed: the age of those who say none.
    """

    name = "age"

    def __init__(self, least: npt.NDArray[np.float64], request: str, assumed: float) -> None:
        self._least = np.where(np.isnan(least), -np.inf, least)
        self._sorted = np.sort(self._least)
        self._request = request
        self._assumed = assumed

    def apply(self, ask: Ask, candidates: Rows) -> Filtered:
        return Filtered.by(self._least[candidates] > self._age(ask))

    def headroom(self, ask: Ask, count: int, /) -> int:
        allowed = int(np.searchsorted(self._sorted, self._age(ask), side="right"))
        return spare(count, len(self._sorted) - allowed, len(self._sorted))

    def _age(self, ask: Ask) -> float:
        age = values.number(ask.attribute(self._request))
        return self._assumed if math.isnan(age) else age
