"""Interactions as one time-ordered log a user, in compressed rows: what models and evaluation read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from slate import columns
from slate.data.vocabulary import IdMap

_ITEM_PLACE: Final = "item_place"


class History(NamedTuple):
    """What one user did, oldest first. Times are microseconds since the epoch."""

    items: npt.NDArray[np.int32]
    events: npt.NDArray[np.int16]
    times: npt.NDArray[np.int64]

    def last(self, length: int) -> "History":
        """The most recent ``length`` interactions."""
        start = max(len(self.items) - length, 0)
        return History(self.items[start:], self.events[start:], self.times[start:])


#: Of whom nothing is known.
NO_HISTORY: Final = History(np.empty(0, np.int32), np.empty(0, np.int16), np.empty(0, np.int64))


def chronological(table: pa.Table) -> pa.Array:
    """Positions that put prepared interactions in order: by user, time, item id, event.

    Ids that are whole numbers are compared as numbers and come before others, so that ties in time are
    broken alike for numeric ids whether or not they are stored as text.
    """
    items = table[columns.ITEM].combine_chunks().dictionary_encode()
    names = items.dictionary.to_pylist()
    places = np.empty(len(names), dtype=np.int64)
    places[sorted(range(len(names)), key=lambda code: natural(names[code]))] = np.arange(len(names))
    ordered = table.select([columns.USER, columns.TIMESTAMP, columns.EVENT]).append_column(
        _ITEM_PLACE, pa.array(places[items.indices.to_numpy()])
    )
    keys = (columns.USER, columns.TIMESTAMP, _ITEM_PLACE, columns.EVENT)
    return pc.sort_indices(ordered, sort_keys=[(key, "ascending") for key in keys])


def natural(item_id: str) -> tuple[int, int, str]:
    """A key that puts whole numbers first, in the order of numbers, then other ids by their text."""
    if item_id.isascii() and item_id.isdigit():
        return (0, int(item_id), item_id)
    return (1, 0, item_id)


@dataclass(frozen=True)
class UserLog:
    """All users' interactions: user ``u`` owns entries ``offsets[u]`` to ``offsets[u + 1]``.

    Entries of a user are in the order of :func:`chronological`, which never depends on the file's.
    ``items`` are catalogue rows (0-based), ``events`` event codes (1-based), ``times`` microseconds,
    ``values`` NaN where absent; ``context`` holds raw context columns, aligned with the entries.
    """

    users: IdMap
    offsets: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    events: npt.NDArray[np.int16]
    times: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    context: Mapping[str, list[object]]

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def from_table(cls, table: pa.Table, items: IdMap, events: tuple[str, ...]) -> "UserLog":
        """Build from a prepared interactions table; rows whose item is not in ``items`` are left out."""
        table = table.filter(pc.is_in(table[columns.ITEM], pa.array(items.ids, pa.string())))
        table = table.take(chronological(table))
        user_column = table[columns.USER].combine_chunks().dictionary_encode()
        if isinstance(user_column, pa.ChunkedArray):
            user_column = user_column.combine_chunks()
        codes = user_column.indices.to_numpy()
        users = IdMap.of(user_column.dictionary.to_pylist())
        offsets = np.zeros(len(users) + 1, dtype=np.int64)
        np.cumsum(np.bincount(codes, minlength=len(users)), out=offsets[1:])
        known = set(columns.INTERACTION_COLUMNS)
        return cls(
            users=users,
            offsets=offsets,
            items=_positions(table[columns.ITEM], items.ids).astype(np.int32),
            events=(_positions(table[columns.EVENT], events) + 1).astype(np.int16),
            times=table[columns.TIMESTAMP].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy(),
            values=table[columns.VALUE].cast(pa.float32()).to_numpy(zero_copy_only=False)
            if columns.VALUE in table.column_names
            else np.full(table.num_rows, np.nan, np.float32),
            weights=table[columns.WEIGHT].cast(pa.float32()).to_numpy(zero_copy_only=False),
            context={c: table[c].to_pylist() for c in table.column_names if c not in known},
        )

    def entries(self, user: int) -> slice:
        """The entries of one user row."""
        return slice(int(self.offsets[user]), int(self.offsets[user + 1]))

    def history(self, user: int, before: int | None = None) -> History:
        """One user's interactions strictly before an instant (microseconds); all without one."""
        entries = self.entries(user)
        stop = entries.stop
        if before is not None:
            stop = entries.start + int(np.searchsorted(self.times[entries], before, side="left"))
        part = slice(entries.start, stop)
        return History(self.items[part], self.events[part], self.times[part])

    def until(self, entry: int) -> History:
        """What the user of an entry did before it, in the log's order."""
        start = self.offsets[np.searchsorted(self.offsets, entry, side="right") - 1]
        part = slice(int(start), entry)
        return History(self.items[part], self.events[part], self.times[part])

    def history_of(self, user_id: str, before: int | None = None) -> History:
        """The same by user id; empty for an unknown user."""
        row = self.users.row(user_id)
        if row is None:
            return NO_HISTORY
        return self.history(row, before)


def _positions(column: pa.ChunkedArray, values: tuple[str, ...]) -> npt.NDArray[np.int64]:
    positions: npt.NDArray[np.int64] = (
        pc.index_in(column, pa.array(values, pa.string())).cast(pa.int64()).to_numpy()
    )
    return positions
