"""User states as a release ships them: one Arrow file, mapped into memory and read where a user stands.

Columns: user_id (sorted), ``items``, ``events`` and ``times`` (the last interactions, oldest
first), ``seen`` (every item ever interacted with) and the user's features, whose names are preceded by
``feature_`` so that none can be taken for another column. Items are catalogue rows of the release, sorted
where seen; events are codes, from 1, into the feature space's. Live state overlays it.

Nothing is compressed and nothing decoded: a request touches the pages that its user lies on, and those alone.
"""

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from slate import columns
from slate.data.sequences import History, UserLog
from slate.errors import ReleaseError

#: Where a release has them.
FILE: Final = "users/users.arrow"
ITEMS: Final = "items"
EVENTS: Final = "events"
TIMES: Final = "times"
SEEN: Final = "seen"
FEATURE: Final = "feature_"
_INSTANT: Final = pa.timestamp("us", "UTC")
_COLUMNS: Final = {
    columns.USER: pa.string(),
    ITEMS: pa.list_(pa.int32()),
    EVENTS: pa.list_(pa.int16()),
    TIMES: pa.list_(_INSTANT),
    SEEN: pa.list_(pa.int32()),
}
#: Users that share a batch of the file: what is built at once when it is written.
_BATCH: Final = 65_536

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class UserRecord:
    """One user: the last interactions, every item ever interacted with as sorted catalogue rows, and raw
    features. The arrays are views of the file.
    """

    history: History
    seen: npt.NDArray[np.int32]
    features: Mapping[str, object]


def write_users(path: Path, log: UserLog, features: pa.Table, length: int) -> None:
    """Write the state of every user of ``log`` or of the ``features`` table.

    Args:
        log: all interactions up to the watermark.
        features: a table with user_id and raw feature columns.
        length: how many recent interactions are kept.
    """
    users = sorted({*log.users.ids, *features[columns.USER].to_pylist()})
    names = [name for name in features.column_names if name != columns.USER]
    schema = pa.schema([*_COLUMNS.items(), *((FEATURE + n, features.schema.field(n).type) for n in names)])
    own = features[columns.USER].combine_chunks()
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as file:
        for start in range(0, len(users), _BATCH):
            some = users[start : start + _BATCH]
            at = pc.index_in(pa.array(some, pa.string()), own)
            given = [features[name].take(at).combine_chunks() for name in names]
            file.write_batch(pa.record_batch([*_states(some, log, length), *given], schema=schema))


def users_table(source: Path | bytes) -> pa.Table:
    """All columns of a users file, or of one's content; what of them is not looked at is not read.

    Raises:
        OSError: it cannot be read.
        ArrowInvalid: it is no Arrow file.
    """
    return _opened(source).read_all()


def _opened(source: Path | bytes) -> pa.RecordBatchFileReader:
    return pa.ipc.open_file(pa.py_buffer(source) if isinstance(source, bytes) else pa.memory_map(str(source)))


def _states(users: Sequence[str], log: UserLog, length: int) -> list[pa.Array]:
    whole = [log.history_of(user) for user in users]
    recent = [history.last(length) for history in whole]
    return [
        pa.array(users, pa.string()),
        _lists((history.items for history in recent), pa.int32()),
        _lists((history.events for history in recent), pa.int16()),
        _lists((history.times for history in recent), _INSTANT),
        _lists((np.unique(history.items) for history in whole), pa.int32()),
    ]


def _lists(parts: Iterable[Array], kind: pa.DataType) -> pa.ListArray:
    arrays = list(parts)
    offsets = np.cumsum([0, *map(len, arrays)], dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(np.concatenate(arrays)).cast(kind))


class UserStore:
    """The users of one users file, by id or by their place in it. Safe to read from threads.

    Raises:
        ReleaseError: it is no Arrow file, or lacks a column.
    """

    def __init__(self, path: Path) -> None:
        try:
            file = _opened(path)
            _check(path, file.schema)
            batches = [file.get_batch(number) for number in range(file.num_record_batches)]
        except (OSError, pa.ArrowInvalid) as error:
            raise ReleaseError(
                f"users {path}: no Arrow file of users ({error}); train again with this version of slate"
            ) from error
        self._path = path
        self._parts = [_Part(batch) for batch in batches if batch.num_rows]
        self._starts: list[int] = np.cumsum([0, *map(len, self._parts)]).tolist()
        self._firsts = [part.id_of(0) for part in self._parts]

    def __len__(self) -> int:
        total: int = self._starts[-1]
        return total

    def check(self, items: int, events: int) -> None:
        """Whether all items and events are of a catalogue and a feature space with so many.

        Raises:
            ReleaseError: one is not.
        """
        for part in self._parts:
            for name, lowest, highest in part.bounds():
                first, last = (1, events) if name == EVENTS else (0, items - 1)
                if lowest < first or highest > last:
                    raise ReleaseError(
                        f"users {self._path}: {name} from {lowest} to {highest}, where the release has "
                        f"{first} to {last}; assemble it again from one training"
                    )

    def record(self, user_id: str) -> UserRecord | None:
        """What is known of a user, or None where the release does not know them."""
        place = self.place(user_id)
        known = place < len(self) and self.id_at(place) == user_id
        return self.record_at(place) if known else None

    def place(self, user_id: str) -> int:
        """How many users have a lower id."""
        key = _key(user_id)
        number = max(bisect.bisect_right(self._firsts, key) - 1, 0)
        return self._starts[number] + (self._parts[number].place(key) if self._parts else 0)

    def id_at(self, place: int) -> str:
        """The id of the user at a place."""
        part, within = self._at(place)
        return part.id_of(within).decode()

    def record_at(self, place: int) -> UserRecord:
        """What is known of the user at a place."""
        part, within = self._at(place)
        return part.record(within)

    def sample(self, count: int) -> list[str]:
        """Up to ``count`` user ids with a history, spread evenly over the file."""
        active = np.concatenate([np.empty(0, bool), *(part.active() for part in self._parts)]).nonzero()[0]
        step = max(len(active) // max(count, 1), 1)
        return [self.id_at(place) for place in active[::step][:count].tolist()]

    def _at(self, place: int) -> tuple["_Part", int]:
        number = bisect.bisect_right(self._starts, place) - 1
        return self._parts[number], place - self._starts[number]


def _check(path: Path, schema: pa.Schema) -> None:
    for name, kind in _COLUMNS.items():
        place = schema.get_field_index(name)
        if place < 0 or schema.field(place).type != kind:
            found = schema.field(place).type if place >= 0 else "missing"
            raise ReleaseError(
                f"users {path}: column {name} is {found} where {kind} is wanted; train again with this "
                "version of slate"
            )


def _key(user_id: str) -> bytes:
    # A request may name what is no text; nobody is called so.
    return user_id.encode(errors="surrogatepass")


class _Part:
    """One batch of the file, as arrays over the mapped pages."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._size: int = batch.num_rows
        ids = batch.column(columns.USER)
        _, offsets, content = ids.buffers()
        self._ends = np.frombuffer(offsets, np.int32)[ids.offset : ids.offset + self._size + 1]
        self._content = memoryview(content) if content is not None else memoryview(b"")
        self._items, self._events, self._times, self._seen = (
            _List(batch.column(name)) for name in (ITEMS, EVENTS, TIMES, SEEN)
        )
        self._features = {
            name.removeprefix(FEATURE): batch.column(name)
            for name in batch.schema.names
            if name.startswith(FEATURE)
        }

    def __len__(self) -> int:
        return self._size

    def id_of(self, place: int) -> bytes:
        """The id at a place in UTF-8, whose order is that of the texts."""
        return bytes(self._content[self._ends[place] : self._ends[place + 1]])

    def place(self, key: bytes) -> int:
        """How many ids of this part are lower."""
        found: int = bisect.bisect_left(range(self._size), key, key=self.id_of)
        return found

    def bounds(self) -> Iterator[tuple[str, int, int]]:
        """The lowest and the highest item and event, of columns that hold any."""
        for name, column in ((ITEMS, self._items), (EVENTS, self._events), (SEEN, self._seen)):
            if len(column.values):
                yield name, int(column.values.min()), int(column.values.max())

    def active(self) -> npt.NDArray[np.bool_]:
        """Who has a history."""
        found: npt.NDArray[np.bool_] = np.diff(self._items.offsets) > 0
        return found

    def record(self, place: int) -> UserRecord:
        return UserRecord(
            History(self._items.of(place), self._events.of(place), self._times.of(place)),
            self._seen.of(place),
            {name: column[place].as_py() for name, column in self._features.items()},
        )


class _List:
    """A column of lists of numbers: row ``r`` owns ``values[offsets[r]:offsets[r + 1]]``."""

    def __init__(self, column: pa.ListArray) -> None:
        values = column.values
        plain = values.cast(pa.int64()) if values.type == _INSTANT else values
        self.values = plain.to_numpy()
        self.offsets = column.offsets.to_numpy()

    def of(self, row: int) -> Array:
        own: Array = self.values[self.offsets[row] : self.offsets[row + 1]]
        return own
