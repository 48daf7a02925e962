"""Items that cannot be had."""

from collections.abc import Collection
from typing import Protocol

import numpy as np
import numpy.typing as npt

from slate.data.vocabulary import IdMap
from slate.recommend.arrays import Rows
from slate.recommend.filters.base import Filtered
from slate.recommend.stages.records import Ask


class TakenDown(Protocol):
    """See :class:`slate.recommend.live.LiveState`."""

    def unavailable(self) -> Collection[str]: ...


class UnavailableFilter:
    """Removes what was taken down, by live state or by an attribute of the release's items.

    Args:
        denied: by catalogue row, whether the release says that the item is not available.
    """

    name = "unavailable"

    def __init__(self, ids: IdMap, denied: npt.NDArray[np.bool_], live: TakenDown) -> None:
        self._ids = ids
        self._live = live
        self._released = denied, int(denied.sum())
        self._current: tuple[Collection[str], npt.NDArray[np.bool_], int] = ((), *self._released)

    def apply(self, ask: Ask, candidates: Rows) -> Filtered:
        mask, count = self._mask() if ask.live else self._released
        return Filtered.by(mask[candidates]) if count else Filtered(len(candidates))

    def headroom(self, _ask: Ask, _count: int, /) -> int:
        return self._mask()[1]

    def _mask(self) -> tuple[npt.NDArray[np.bool_], int]:
        down = self._live.unavailable()
        known, mask, count = self._current
        if down is not known and down != known:
            mask = self._released[0].copy()
            mask[self._ids.known_rows(down)] = True
            count = int(mask.sum())
            self._current = (down, mask, count)
        return mask, count
