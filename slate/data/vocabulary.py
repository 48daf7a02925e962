"""External string ids to dense rows and back, frozen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from slate.errors import DataError


@dataclass(frozen=True)
class IdMap:
    """Ids in row order. Row ``i`` is ``ids[i]``; an unknown id has no row.

    Raises:
        DataError: an id appears twice.
    """

    ids: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self._rows) != len(self.ids):
            seen: set[str] = set()
            twice = next(i for i in self.ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise DataError(f"id map: {twice!r} appears twice; ids must be unique")

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {id_: row for row, id_ in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._rows

    def issuperset(self, ids: Iterable[str]) -> bool:
        """Whether every one of some ids has a row."""
        return self._rows.keys() >= set(ids)

    def row(self, id_: str) -> int | None:
        """The row of one id, or None where it is unknown."""
        return self._rows.get(id_)

    def rows(self, ids: Iterable[str]) -> list[int | None]:
        """The row of each id, None where it is unknown."""
        return list(map(self._rows.get, ids))

    def known_rows(self, ids: Iterable[str]) -> npt.NDArray[np.int32]:
        """The rows of those ids that are known, in order; unknown ones are left out."""
        rows = self.rows(ids)
        if None in rows:
            rows = [row for row in rows if row is not None]
        return np.asarray(rows, np.int32)

    def to_ids(self, rows: Iterable[int] | npt.NDArray[np.integer]) -> list[str]:
        """The ids of rows."""
        ids = self.ids
        return [ids[row] for row in (rows.tolist() if isinstance(rows, np.ndarray) else rows)]

    @classmethod
    def of(cls, ids: Sequence[str]) -> "IdMap":
        """A map over ``ids`` in the given order."""
        return cls(tuple(ids))
