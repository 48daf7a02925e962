"""For each item its closest others, in compressed rows: what item-to-item sources ship in a release.

On disk: Parquet in catalogue order, ``neighbours`` list<int32> of catalogue rows and ``scores``
list<float32>, closest first.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from slate.errors import ReleaseError

#: Where a release holds the tables, by what they were computed with.
CO_OCCURRENCE_FILE: Final = "sources/co_occurrence.parquet"
ITEM2VEC_FILE: Final = "sources/item2vec.parquet"

NEIGHBOURS: Final = "neighbours"
SCORES: Final = "scores"

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Neighbours:
    """Item ``i`` has the neighbours ``rows[offsets[i]:offsets[i + 1]]``, closest first, with ``scores``."""

    offsets: Int64
    rows: Int32
    scores: Float32

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def closest(cls, items: int, pairs: "Pairs", count: int) -> "Neighbours":
        """The ``count`` best pairs of each item; of equals the lower row comes first.

        Pairs of an item with itself, and scores that are not finite and above 0, say nothing and are left
        out.
        """
        good = (pairs.items != pairs.neighbours) & np.isfinite(pairs.scores) & (pairs.scores > 0)
        item, other, score = pairs.items[good], pairs.neighbours[good], pairs.scores[good]
        order = np.lexsort((other, -score, item))
        item, other, score = item[order], other[order], score[order]
        starts = np.searchsorted(item, np.arange(items))
        kept = np.arange(len(item)) - starts[item] < count
        offsets = np.zeros(items + 1, np.int64)
        np.cumsum(np.bincount(item[kept], minlength=items), out=offsets[1:])
        return cls(offsets, other[kept].astype(np.int32), score[kept].astype(np.float32))

    def of(self, item: int) -> tuple[Int32, Float32]:
        """The neighbours of one item and their scores."""
        own = slice(int(self.offsets[item]), int(self.offsets[item + 1]))
        return self.rows[own], self.scores[own]

    def write(self, path: Path) -> None:
        """Write one Parquet file."""
        offsets = pa.array(self.offsets, pa.int64())
        table = pa.table(
            {
                NEIGHBOURS: pa.LargeListArray.from_arrays(offsets, pa.array(self.rows, pa.int32())),
                SCORES: pa.LargeListArray.from_arrays(offsets, pa.array(self.scores, pa.float32())),
            }
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, compression="zstd")

    @classmethod
    def read(cls, path: Path, items: int) -> "Neighbours":
        """Read what :meth:`write` wrote.

        Raises:
            ReleaseError: the file is missing, has other than ``items`` rows, or names other rows.
        """
        if not path.is_file():
            raise ReleaseError(
                f"{path.parent.name}/{path.name}: is not in the release; it was assembled without this "
                "source, so train again with its count above 0"
            )
        table = pq.read_table(path).combine_chunks()
        rows, scores = _flat(table, NEIGHBOURS), _flat(table, SCORES)
        lengths = table[NEIGHBOURS].combine_chunks()
        lengths = lengths.value_lengths().to_numpy() if table.num_rows else np.empty(0, np.int64)
        offsets = np.zeros(table.num_rows + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        inside = not len(rows) or (rows.min() >= 0 and rows.max() < items)
        if table.num_rows != items or not inside or len(rows) != len(scores):
            raise ReleaseError(
                f"{path.parent.name}/{path.name}: {table.num_rows} rows do not fit the {items} items of the "
                "catalogue; assemble the release again"
            )
        return cls(offsets, rows, scores)


@dataclass(frozen=True)
class Pairs:
    """Scored pairs of catalogue rows, in any order, each at most once."""

    items: Int64
    neighbours: Int64
    scores: npt.NDArray[np.float64]


def _flat(table: pa.Table, name: str) -> Any:
    column = table[name].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column.flatten().to_numpy()
