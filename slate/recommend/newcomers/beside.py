"""What a release says of its items, and beside it the same of those that came since."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from slate.recommend.arrays import Rows
from slate.recommend.filters.base import Filter, Filtered
from slate.recommend.newcomers.group import Group
from slate.recommend.sources.base import Asked, Source
from slate.recommend.stages.records import Ask

T = TypeVar("T")

Array = npt.NDArray[Any]


class HasGroup(Protocol):
    """Whoever holds the new items of a release."""

    @property
    def group(self) -> Group: ...


class Derived(Generic[T]):
    """Something made of the new items, again whenever they change."""

    def __init__(self, newcomers: HasGroup, make: Callable[[Group], T]) -> None:
        self._newcomers = newcomers
        self._make = make
        self._current: tuple[Group, T] | None = None

    def get(self) -> tuple[Group, T]:
        """The group as it is now, and what is made of it."""
        group, current = self._newcomers.group, self._current
        if current is None or current[0] is not group:
            current = (group, self._make(group))
            self._current = current
        return current


class ByRow:
    """An array by row over both.

    Args:
        released: by catalogue row.
        make: the same of new items, in their order.
    """

    def __init__(self, released: Array, newcomers: HasGroup, make: Callable[[Group], Array]) -> None:
        self._released = released
        self._first = len(released)
        self._newcomers = newcomers
        self._since = Derived(newcomers, make)

    def __getitem__(self, rows: Rows) -> Array:
        if not len(self._newcomers.group) or not np.count_nonzero(new := rows >= self._first):
            return self._released.take(rows, axis=0)
        _, since = self._since.get()
        found = np.asarray(self._released[np.where(new, 0, rows)])
        found[new] = since[rows[new] - self._first]
        return found


class LabelsByRow(Sequence[Sequence[str]]):
    """Texts by row over both."""

    def __init__(
        self,
        released: Sequence[Sequence[str]],
        newcomers: HasGroup,
        make: Callable[[Group], Sequence[Sequence[str]]],
    ) -> None:
        self._released = released
        self._since = Derived(newcomers, make)

    def __len__(self) -> int:
        return len(self._released) + len(self._since.get()[1])

    def __getitem__(self, row: Any) -> Any:
        first = len(self._released)
        return self._released[row] if row < first else self._since.get()[1][row - first]


class FilterBeside:
    """A filter that knows released items by row, and the same filter over new ones."""

    def __init__(self, released: Filter, newcomers: HasGroup, make: Callable[[Group], Filter]) -> None:
        self._released = released
        self._newcomers = newcomers
        self._since = Derived(newcomers, make)

    @property
    def name(self) -> str:
        return self._released.name

    def apply(self, ask: Ask, candidates: Rows) -> Filtered:
        group = self._newcomers.group
        if not len(group) or not np.count_nonzero(new := candidates >= group.first):
            return self._released.apply(ask, candidates)
        group, since = self._since.get()
        hit = np.zeros(len(candidates), np.bool_)
        old = np.flatnonzero(~new)
        hit[old[self._released.apply(ask, candidates[old]).removed]] = True
        added = np.flatnonzero(new)
        hit[added[since.apply(ask, candidates[added] - group.first).removed]] = True
        return Filtered.by(hit)

    def headroom(self, ask: Ask, count: int, /) -> int:
        return self._released.headroom(ask, count)


class NewestBeside:
    """A source that names the newest first, and the same source over new items.

    Args:
        since: by row of both, microseconds since the epoch.
    """

    def __init__(
        self, released: Source, since: ByRow, newcomers: HasGroup, make: Callable[[Group], Source]
    ) -> None:
        self._released = released
        self._ages = since
        self._newcomers = newcomers
        self._since = Derived(newcomers, make)

    @property
    def name(self) -> str:
        return self._released.name

    def candidates(self, asked: Asked, counts: Sequence[int]) -> list[Rows]:
        found = self._released.candidates(asked, counts)
        if not len(self._newcomers.group):
            return found
        group, since = self._since.get()
        added = since.candidates(asked, counts)
        return [
            self._merged(old, new + group.first, count) if ask.live else old
            for ask, old, new, count in zip(asked.asks, found, added, counts, strict=True)
        ]

    def _merged(self, old: Rows, new: Rows, count: int) -> Rows:
        rows = np.concatenate([new, old]).astype(np.int32)
        order = np.argsort(-self._ages[rows].astype(np.float64), kind="stable")
        return rows[order[:count]]
