"""Filters say what they kept and what they removed; nothing vanishes uncounted."""

import math
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from slate.recommend.arrays import Places, Rows
from slate.recommend.stages.records import Ask


class Filtered(NamedTuple):
    """Positions into the candidates, in their order."""

    kept: Places
    removed: Places

    @classmethod
    def by(cls, hit: npt.NDArray[np.bool_]) -> "Filtered":
        """From a mask of what is to be removed."""
        return cls(np.flatnonzero(~hit), np.flatnonzero(hit))


class Filter(Protocol):
    """One reason for which a candidate may not be shown. Thread-safe, without state of requests."""

    @property
    def name(self) -> str: ...

    def apply(self, ask: Ask, candidates: Rows) -> Filtered:
        """Split candidates (catalogue rows) into kept and removed."""
        ...

    def headroom(self, ask: Ask, count: int, /) -> int:
        """How many more than ``count`` candidates to fetch so that about ``count`` are left."""
        ...


class FilterChain(NamedTuple):
    """The outcome of several filters: what is left, and what each one took."""

    kept: Places
    removed: dict[str, Places]


def apply_filters(filters: Iterable[Filter], ask: Ask, candidates: Rows) -> FilterChain:
    """Apply filters one after the other; a candidate is counted for the first that removes it."""
    kept = np.arange(len(candidates), dtype=np.int64)
    removed: dict[str, Places] = {}
    for each in filters:
        outcome = each.apply(ask, candidates[kept])
        removed[each.name] = kept[outcome.removed]
        kept = kept[outcome.kept]
    return FilterChain(kept, removed)


def without(rows: Rows, candidates: Rows) -> Filtered:
    """Candidates that are not among ``rows``, which are sorted."""
    if not len(rows):
        return Filtered(np.arange(len(candidates), dtype=np.int64), np.empty(0, np.int64))
    places = np.searchsorted(rows, candidates)
    return Filtered.by(rows[np.minimum(places, len(rows) - 1)] == candidates)


def spare(count: int, removed: int, items: int) -> int:
    """How many more than ``count`` of ``items`` to fetch when ``removed`` of them, anywhere, are taken out.

    They are taken to lie evenly among the candidates.

    >>> [spare(100, removed, 1000) for removed in (0, 500, 900, 1000)]
    [0, 100, 900, 1000]
    """
    left = items - removed
    return items if left <= 0 else min(items, math.ceil(count * removed / left))
