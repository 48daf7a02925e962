"""Item ids by row: those of a release's catalogue, and behind them items that came since."""

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from slate.data.vocabulary import IdMap
from slate.recommend.arrays import Rows
from slate.recommend.newcomers.group import Group


class ItemIds:
    """Rows never change their meaning while a release is open; new ones are added at the end."""

    def __init__(self, catalogue: IdMap) -> None:
        self._catalogue = catalogue
        self._since = Group(len(catalogue))

    def extend(self, since: Group) -> None:
        """Know these beside the catalogue's; they begin with those that were known before."""
        self._since = since

    def __len__(self) -> int:
        return len(self._catalogue) + len(self._since)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._catalogue or id_ in self._since.rows

    def issuperset(self, ids: Collection[str]) -> bool:
        """Whether every one of some ids is known."""
        return self._catalogue.issuperset(ids) or all(id_ in self for id_ in ids)

    def row(self, id_: str, /) -> int | None:
        """The row of one id, or None where it is unknown."""
        row = self._catalogue.row(id_)
        return self._since.rows.get(id_) if row is None else row

    def rows(self, ids: Sequence[str]) -> list[int | None]:
        """The row of each id, None where it is unknown."""
        return [self.row(id_) for id_ in ids] if len(self._since) else self._catalogue.rows(ids)

    def known_rows(self, ids: Iterable[str]) -> Rows:
        """The rows of those ids that are known, in order; unknown ones are left out."""
        if not len(self._since):
            return self._catalogue.known_rows(ids)
        return np.asarray([row for row in map(self.row, ids) if row is not None], np.int32)

    def of(self, row: int) -> str:
        """The id of one row."""
        first = len(self._catalogue)
        return self._catalogue.ids[row] if row < first else self._since.ids[row - first]

    def to_ids(self, rows: Iterable[int] | npt.NDArray[np.integer]) -> list[str]:
        """The ids of rows."""
        numbers = rows.tolist() if isinstance(rows, np.ndarray) else rows
        return [self.of(row) for row in numbers] if len(self._since) else self._catalogue.to_ids(numbers)
