"""Filters say what they kept and what they removed; nothing vanishes uncounted."""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from slate.recommend.arrays import Places, Rows
from slate.recommend.stages.records import Ask

_NO_PLACES: Final[Places] = np.empty(0, np.int64)


class Filtered(NamedTuple):
    """What one filter says of so many candidates: a mask of those it removes, None where it removes none."""

    candidates: int
    hit: npt.NDArray[np.bool_] | None = None

    @classmethod
    def by(cls, hit: npt.NDArray[np.bool_]) -> "Filtered":
        """From a mask of what is to be removed."""
        return cls(len(hit), hit)

    @property
    def kept(self) -> Places:
        """Positions into the candidates, in their order."""
        return np.arange(self.candidates) if self.hit is None else (~self.hit).nonzero()[0]

    @property
    def removed(self) -> Places:
        """The other positions."""
        return _NO_PLACES if self.hit is None else self.hit.nonzero()[0]


class Filter(Protocol):
    """One reason for which a candidate may not be shown. Thread-safe, without state of requests.

    What becomes of a candidate depends on the ask and on its row, not on the other candidates.
    """

    @property
    def name(self) -> str: ...

    def apply(self, ask: Ask, candidates: Rows) -> Filtered:
        """Split candidates (catalogue rows) into kept and removed."""
        ...

    def headroom(self, ask: Ask, count: int, /) -> int:
        """How many more than ``count`` candidates to fetch so that about ``count`` are left."""
        ...


class FilterChain(NamedTuple):
    """The outcome of several filters, as positions: what is left, and what each one took."""

    kept: Places
    removed: dict[str, Places]


def apply_filters(filters: Iterable[Filter], ask: Ask, candidates: Rows) -> FilterChain:
    """Apply filters one after the other; a candidate is counted for the first that removes it."""
    gone = np.zeros(len(candidates), np.bool_)
    removed: dict[str, Places] = {}
    for each in filters:
        hit = each.apply(ask, candidates).hit
        if hit is None:
            removed[each.name] = _NO_PLACES
            continue
        removed[each.name] = (hit & ~gone).nonzero()[0]
        gone |= hit
    return FilterChain((~gone).nonzero()[0], removed)


def without(rows: Rows, candidates: Rows) -> Filtered:
    """Candidates that are not among ``rows``, which are sorted."""
    if not len(rows):
        return Filtered(len(candidates))
    return Filtered.by(rows.take(rows.searchsorted(candidates), mode="clip") == candidates)


def spare(count: int, removed: int, items: int) -> int:
    """How many more than ``count`` of ``items`` to fetch when ``removed`` of them, anywhere, are taken out.

    They are taken to lie evenly among the candidates.

    >>> [spare(100, removed, 1000) for removed in (0, 500, 900, 1000)]
    [0, 100, 900, 1000]
    """
    left = items - removed
    return items if left <= 0 else min(items, math.ceil(count * removed / left))
