"""What sources know of each item besides the catalogue: how wanted it was, and since when it is there.

On disk: Parquet in catalogue order, ``wanted`` int64 and ``first_seen`` a timestamp, null for an item that
nobody ever had.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slate.data.sequences import UserLog
from slate.errors import ReleaseError
from slate.retrieval.sources.meetings import first_of_each

FILE: Final = "sources/items.parquet"
WANTED: Final = "wanted"
FIRST_SEEN: Final = "first_seen"
#: Stands for no instant at all; lies before every instant.
NEVER: Final = np.iinfo(np.int64).min

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ItemRecords:
    """By catalogue row: ``wanted``, users with a target interaction in the training period, and
    ``first_seen`` in microseconds since the epoch, :data:`NEVER` for an item without interactions.
    """

    wanted: Int64
    first_seen: Int64

    @classmethod
    def of(cls, train: UserLog, everything: UserLog, items: int, events: Sequence[int]) -> "ItemRecords":
        """Count the training log's users with these event codes; date items by the whole log.

        A user counts once an item, so that nobody makes an item popular alone.
        Counts end with training, lest an evaluation on what came later find its answers in them. A first
        interaction is compared with the instant of each request, so that it may be of any date.
        """
        users = np.repeat(np.arange(len(train.users)), np.diff(train.offsets))
        wanted = np.isin(train.events, np.asarray(events, np.int16))
        counted, owners = train.items[wanted].astype(np.int64), users[wanted]
        counted = counted[first_of_each(counted, owners)]
        latest = np.iinfo(np.int64).max
        first = np.full(items, latest, np.int64)
        np.minimum.at(first, everything.items, everything.times)
        first[first == latest] = NEVER
        return cls(np.bincount(counted, minlength=items).astype(np.int64), first)

    def write(self, path: Path) -> None:
        """Write one Parquet file."""
        there = pa.array(self.first_seen != NEVER)
        instants = pc.if_else(there, pa.array(self.first_seen), pa.scalar(None, pa.int64()))
        table = pa.table({WANTED: self.wanted, FIRST_SEEN: instants.cast(pa.timestamp("us", "UTC"))})
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, compression="zstd")

    @classmethod
    def read(cls, path: Path, items: int) -> "ItemRecords":
        """Read what :meth:`write` wrote.

        Raises:
            ReleaseError: the file is missing, or does not have one row an item.
        """
        if not path.is_file():
            raise ReleaseError(f"{path.parent.name}/{path.name}: is not in the release; assemble it again")
        table = pq.read_table(path)
        if table.num_rows != items:
            raise ReleaseError(
                f"{path.parent.name}/{path.name}: {table.num_rows} rows for {items} items; "
                "assemble the release again"
            )
        return cls(table[WANTED].to_numpy(), table[FIRST_SEEN].cast(pa.int64()).fill_null(NEVER).to_numpy())
