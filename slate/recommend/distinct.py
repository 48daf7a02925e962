"""Rows without repetitions: a sort of a few hundred, where :func:`numpy.unique` costs several times that.

Every request pays for this. With so few rows a call costs more than what it computes, so methods are called
where NumPy's functions only lead to them.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from slate.recommend.arrays import Places, Rows

Numbers = TypeVar("Numbers", Rows, Places)


class Merged(NamedTuple):
    """Each row of several lists once, in the order in which they name it first; ``places`` holds for each
    list the positions of its own rows in ``rows``, in its order and without repetitions.
    """

    rows: Rows
    places: tuple[Places, ...]


def ascending(values: Numbers) -> Numbers:
    """Every value once, the smallest first.

    >>> ascending(np.array([3, 1, 3, 2], np.int32)).tolist()
    [1, 2, 3]
    """
    ordered = _sorted(values)
    return ordered[_first_of_equals(ordered)]


def distinct(values: Numbers) -> Numbers:
    """Every value once, where it comes first.

    >>> distinct(np.array([3, 1, 3, 2], np.int32)).tolist()
    [3, 1, 2]
    """
    ordered = _sorted(values)
    if not np.count_nonzero(ordered[1:] == ordered[:-1]):
        return values
    order = values.argsort(kind="stable")
    return values[_sorted(order[_first_of_equals(values[order])])]


def merged(lists: Sequence[Rows]) -> Merged:
    """Several lists as one.

    >>> both = merged([np.array([4, 2, 4], np.int32), np.array([2, 7], np.int32)])
    >>> both.rows.tolist(), [own.tolist() for own in both.places]
    ([4, 2, 7], [[0, 1], [1, 2]])
    """
    if len(lists) == 1:
        rows = distinct(lists[0])
        return Merged(rows, (np.arange(len(rows)),))
    together = np.concatenate(lists)
    order = together.argsort(kind="stable")
    new = _first_of_equals(together[order])
    # The sort is stable, so the first of equals is the one that is named first.
    first = order[new]
    place = np.empty(len(first), np.int64)
    place[first.argsort()] = np.arange(len(first))
    places = np.empty(len(together), np.int64)
    places[order] = place[new.cumsum() - 1]
    bounds = pairwise(accumulate(map(len, lists), initial=0))
    return Merged(together[_sorted(first)], tuple(distinct(places[start:end]) for start, end in bounds))


def _sorted(values: Numbers) -> Numbers:
    ordered = values.copy()
    ordered.sort()
    return ordered


def _first_of_equals(ordered: Numbers) -> npt.NDArray[np.bool_]:
    """Where a value differs from the one before it."""
    first = np.empty(len(ordered), np.bool_)
    first[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return first
