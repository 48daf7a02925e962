"""User states as a release ships them: one sorted Parquet file, read a row group at a time.

Columns: user_id (sorted), ``items``, ``events`` and ``times`` (the last interactions, oldest
first), ``seen`` (every item ever interacted with) and the user's features, whose names are preceded by
``feature_`` so that none can be taken for another column. Live state overlays it.
"""

import bisect
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slate import columns
from slate.clock import from_microseconds
from slate.data.sequences import UserLog
from slate.recommend.names import Coded, Names
from slate.recommend.request import Interaction

ITEMS: Final = "items"
EVENTS: Final = "events"
TIMES: Final = "times"
SEEN: Final = "seen"
FEATURE: Final = "feature_"
#: Users that are read together: the first request of one reads them all, which takes some 25 us a user.
_ROW_GROUP: Final = 64
_CACHED_GROUPS: Final = 2_048


@dataclass(frozen=True)
class UserState:
    """What is known of one user: recent interactions, all seen items, raw features."""

    history: Sequence[Interaction] = ()
    seen: Sequence[str] = ()
    features: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class UserRecord:
    """One user as stored: the last interactions, oldest first, the items ever seen, and raw features.

    ``times`` int64 microseconds since the epoch, one an item.
    """

    items: Coded
    events: Coded
    times: npt.NDArray[np.int64]
    seen: Coded
    features: Mapping[str, object]


def write_users(
    path: Path, log: UserLog, items: Sequence[str], events: Sequence[str], features: pa.Table, length: int
) -> None:
    """Write the state of every user of ``log`` or of the ``features`` table.

    Args:
        log: all interactions up to the watermark.
        items: item ids by catalogue row; events: event names by code - 1.
        features: a table with user_id and raw feature columns.
        length: how many recent interactions are kept.
    """
    known = set(log.users.ids) | set(features[columns.USER].to_pylist())
    users = sorted(known)
    states: dict[str, list[Any]] = {ITEMS: [], EVENTS: [], TIMES: [], SEEN: []}
    for user in users:
        whole = log.history_of(user)
        recent = whole.last(length)
        states[ITEMS].append([items[i] for i in recent.items])
        states[EVENTS].append([events[e - 1] for e in recent.events])
        states[TIMES].append(recent.times.tolist())
        states[SEEN].append([items[i] for i in np.unique(whole.items)])
    strings = pa.list_(pa.string())
    table = pa.table(
        {
            columns.USER: pa.array(users, pa.string()),
            ITEMS: pa.array(states[ITEMS], strings),
            EVENTS: pa.array(states[EVENTS], strings),
            TIMES: pa.array(states[TIMES], pa.list_(pa.timestamp("us", "UTC"))),
            SEEN: pa.array(states[SEEN], strings),
        }
    )
    names = [n for n in features.column_names if n != columns.USER]
    at = pc.index_in(table[columns.USER], features[columns.USER].combine_chunks())
    for name in names:
        table = table.append_column(FEATURE + name, features[name].take(at))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=_ROW_GROUP, compression="zstd")


def open_users(path: Path) -> pq.ParquetFile:
    """A users file whose columns of names come as codes into their distinct names.

    Arrow reads such columns from one row group at a time, not from several at once.
    """
    file = pq.ParquetFile(path, memory_map=True)
    paths = (file.schema.column(place).path for place in range(len(file.schema)))
    names = [name for name in paths if name.partition(".")[0] in (ITEMS, EVENTS, SEEN)]
    return pq.ParquetFile(path, memory_map=True, metadata=file.metadata, read_dictionary=names)


class UserStore:
    """Looks users up in a released users file; memory stays bounded however many there are."""

    def __init__(self, path: Path) -> None:
        self._file = open_users(path)
        self._lock = Lock()
        self._groups: OrderedDict[int, _Group] = OrderedDict()
        self._firsts = [
            self._first(group)
            for group in range(self._file.num_row_groups)
            if self._file.metadata.row_group(group).num_rows
        ]
        self._features = [n for n in self._file.schema_arrow.names if n.startswith(FEATURE)]

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    def get(self, user_id: str) -> UserState | None:
        """The state of one user, or None where the release does not know them."""
        record = self.record(user_id)
        if record is None:
            return None
        instants = map(from_microseconds, record.times.tolist())
        history = tuple(map(Interaction, record.items.texts(), record.events.texts(), instants))
        return UserState(history, record.seen.texts(), record.features)

    def record(self, user_id: str) -> UserRecord | None:
        """The same as it is stored, without an object an interaction: what each request can afford."""
        number = bisect.bisect_right(self._firsts, user_id) - 1
        if number < 0:
            return None
        group = self._group(number)
        row = bisect.bisect_left(group.ids, user_id)
        if row == len(group.ids) or group.ids[row] != user_id:
            return None
        return group.record(row)

    def sample(self, count: int) -> list[str]:
        """Up to ``count`` user ids with a history, spread evenly over the file."""
        active: list[str] = []
        for group in range(self._file.num_row_groups):
            table = self._file.read_row_group(group, columns=[columns.USER, ITEMS])
            there = pc.greater(pc.list_value_length(table[ITEMS]), 0)
            active += table[columns.USER].filter(there).to_pylist()
        step = max(len(active) // max(count, 1), 1)
        return active[::step][:count]

    def _first(self, group: int) -> str:
        """The lowest user id of a row group, which statistics tell where there are any."""
        chunk = self._file.metadata.row_group(group).column(0)
        told = chunk.statistics if chunk.path_in_schema == columns.USER else None
        if told is not None and told.has_min_max:
            return str(told.min)
        return str(self._file.read_row_group(group, columns=[columns.USER])[columns.USER][0])

    def _group(self, number: int) -> "_Group":
        with self._lock:
            if number in self._groups:
                self._groups.move_to_end(number)
                return self._groups[number]
            group = _Group(self._file.read_row_group(number), self._features)
            self._groups[number] = group
            if len(self._groups) > _CACHED_GROUPS:
                self._groups.popitem(last=False)
            return group


class _Group:
    """One row group in memory."""

    def __init__(self, table: pa.Table, features: Sequence[str]) -> None:
        self.ids: list[str] = table[columns.USER].to_pylist()
        self._items = _Names(table[ITEMS])
        self._events = _Names(table[EVENTS])
        self._times = _Lists(table[TIMES])
        self._instants: npt.NDArray[np.int64] = self._times.values.cast(pa.int64()).to_numpy()
        self._seen = _Names(table[SEEN])
        self._features = [name.removeprefix(FEATURE) for name in features]
        values = (table[name].to_pylist() for name in features)
        self._values = list(zip(*values, strict=True)) if features else [()] * len(self.ids)

    def record(self, row: int) -> UserRecord:
        return UserRecord(
            items=self._items.of(row),
            events=self._events.of(row),
            times=self._instants[self._times.entries(row)],
            seen=self._seen.of(row),
            features=dict(zip(self._features, self._values[row], strict=True)),
        )


class _Lists:
    """A column of lists: row ``r`` owns ``values[offsets[r]:offsets[r + 1]]``."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        lists = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
        self.values = lists.values
        self._offsets: list[int] = lists.offsets.to_pylist()

    def entries(self, row: int) -> slice:
        return slice(self._offsets[row], self._offsets[row + 1])


class _Names:
    """A column of lists of names, as :func:`open_users` reads them."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._lists = _Lists(column)
        self._codes = self._lists.values.indices.to_numpy()
        self._names = Names(self._lists.values.dictionary)

    def of(self, row: int) -> Coded:
        return Coded(self._codes[self._lists.entries(row)], self._names)
