"""Filters say what they kept and what they removed; nothing vanishes uncounted."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int32]


class Filtered(NamedTuple):
    """Positions into the candidates, in their order."""

    kept: npt.NDArray[np.int64]
    removed: npt.NDArray[np.int64]


class Filter(Protocol):
    """One reason for which a candidate may not be shown."""

    @property
    def name(self) -> str: ...

    def apply(self, candidates: Rows) -> Filtered:
        """Split candidates (catalogue rows) into kept and removed."""
        ...


class RowFilter:
    """Removes the given catalogue rows: items already seen, or excluded by the request."""

    def __init__(self, name: str, rows: Sequence[int] | Rows) -> None:
        self.name = name
        self._rows = np.asarray(rows, dtype=np.int32)

    def apply(self, candidates: Rows) -> Filtered:
        hit = np.isin(candidates, self._rows)
        return Filtered(np.flatnonzero(~hit), np.flatnonzero(hit))


class FilterChain(NamedTuple):
    """The outcome of several filters: what is left, and what each one took."""

    kept: npt.NDArray[np.int64]
    removed: dict[str, npt.NDArray[np.int64]]


def apply_filters(filters: Collection[Filter], candidates: Rows) -> FilterChain:
    """Apply filters one after the other; a candidate is counted for the first that removes it."""
    kept = np.arange(len(candidates), dtype=np.int64)
    removed: dict[str, npt.NDArray[np.int64]] = {}
    for each in filters:
        outcome = each.apply(candidates[kept])
        removed[each.name] = kept[outcome.removed]
        kept = kept[outcome.kept]
    return FilterChain(kept, removed)
