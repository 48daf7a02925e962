"""The items a release knows: ids in row order, titles, raw attributes and encoded features."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from slate import columns
from slate.data.features import EncodedArray, FeatureSpace, encode_columns
from slate.data.vocabulary import IdMap

#: Column of the items table: interactions in the training slice, 0 for an item never trained on.
TRAIN_COUNT = "train_count"
_PART: Final = 10_000


@dataclass(frozen=True)
class Catalogue:
    """Items by row. Every item of the snapshot is here, also those without a single interaction.

    ``table`` has item_id, title, train_count and the raw features, one row an item.
    """

    table: pa.Table

    @classmethod
    def open(cls, path: str | Path) -> "Catalogue":
        """Read ``items.parquet``, or the folder that holds one."""
        path = Path(path)
        return cls(pq.read_table(path / columns.ITEMS_FILE if path.is_dir() else path))

    @cached_property
    def ids(self) -> IdMap:
        column = self.table[columns.ITEM]
        # A part at a time: all at once is one call, for which the interpreter is nobody else's.
        parts = (column.slice(first, _PART).to_pylist() for first in range(0, len(column), _PART))
        return IdMap(tuple(chain.from_iterable(parts)))

    @cached_property
    def train_counts(self) -> npt.NDArray[np.int64]:
        """Training interactions by row."""
        counts: npt.NDArray[np.int64] = self.table[TRAIN_COUNT].cast(pa.int64()).to_numpy()
        return counts

    @cached_property
    def titles(self) -> Mapping[str, str]:
        """Item id to title, the id itself where there is none."""
        return {
            item: title or item
            for item, title in zip(
                self.table[columns.ITEM].to_pylist(), self.table[columns.TITLE].to_pylist(), strict=True
            )
        }

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def encode(self, features: FeatureSpace) -> dict[str, EncodedArray]:
        """Every item feature as an array whose first axis is the catalogue row."""
        names = {e.name for e in features.items}
        raw = {name: self.table[name].to_pylist() for name in names if name in self.table.column_names}
        return encode_columns(features.items, raw, len(self))
