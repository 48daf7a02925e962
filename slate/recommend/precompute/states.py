"""Released users in model terms, a row group at a time: what looking up one user gives, for thousands."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from slate import columns
from slate.data.sequences import History
from slate.recommend.arrays import Rows
from slate.recommend.opened import USERS as FILE
from slate.recommend.opened import Opened
from slate.recommend.precompute.partition import Partition
from slate.recommend.users import EVENTS, FEATURE, ITEMS, SEEN, TIMES, open_users

N = TypeVar("N", np.int32, np.int16)

_NEVER: Final = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Known:
    """One released user. ``last`` is the instant of the last interaction, in microseconds since the epoch."""

    user_id: str
    history: History
    seen: Rows
    features: Mapping[str, object]
    last: int


class _Lists(NamedTuple):
    """Lists of numbers, one a user: user ``u`` owns ``values[offsets[u]:offsets[u + 1]]``."""

    values: npt.NDArray[Any]
    offsets: npt.NDArray[np.int64]

    def of(self, place: int) -> npt.NDArray[Any]:
        return self.values[self.offsets[place] : self.offsets[place + 1]]

    def only(self, kept: npt.NDArray[np.bool_]) -> "_Lists":
        """Without the values that ``kept`` denies."""
        before = np.concatenate([[0], np.cumsum(kept)])
        return _Lists(self.values[kept], before[self.offsets])


class ReleasedUsers:
    """The users of one partition of a release, sorted by id. What the release does not know is left out.

    Partitions are cut by rows of the users file, so that they depend on the release alone. Ids between the
    last of one partition and the first of the next belong to the former: ``owns`` says so for anybody.
    """

    def __init__(self, release: Opened, partition: Partition) -> None:
        self._file = open_users(release.directory / FILE)
        self._partition = partition
        self._ids = release.catalogue.ids
        self._codes = {name: code for code, name in enumerate(release.features.events, start=1)}
        metadata = self._file.metadata
        self._rows = partition.rows(metadata.num_rows)
        self._starts = np.cumsum(
            [0, *(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))]
        )
        names = self._file.schema_arrow.names
        self._features = [name for name in names if name.startswith(FEATURE)]
        self._from = self._id_at(self._rows.start) if partition.index else None
        self._to = self._id_at(self._rows.stop)

    def __len__(self) -> int:
        return len(self._rows)

    def owns(self, user_id: str) -> bool:
        """Whether somebody, known or not, falls into this partition."""
        if self._partition.index and self._from is None:
            return False
        return (self._from is None or user_id >= self._from) and (self._to is None or user_id < self._to)

    def after(self, user_id: str | None) -> Iterator[Known]:
        """All users whose id is above this one."""
        for group in range(len(self._starts) - 1):
            start, stop = (
                max(self._starts[group], self._rows.start),
                min(self._starts[group + 1], self._rows.stop),
            )
            if start >= stop:
                continue
            table = self._file.read_row_group(group)
            table = table.slice(start - self._starts[group], stop - start)
            if user_id is not None:
                table = table.slice(bisect_right(table[columns.USER].to_pylist(), user_id))
            if table.num_rows:
                yield from self._known(table)

    def _id_at(self, row: int) -> str | None:
        if row >= self._starts[-1]:
            return None
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        table = self._file.read_row_group(group, columns=[columns.USER])
        return str(table[columns.USER][row - int(self._starts[group])])

    def _known(self, table: pa.Table) -> list[Known]:
        rows = _lists(table[ITEMS], self._catalogue_rows)
        events = _lists(table[EVENTS], self._event_codes)
        times = _lists(table[TIMES], _instants)
        last = [int(own[-1]) if len(own := times.of(place)) else _NEVER for place in range(table.num_rows)]
        understood = (rows.values >= 0) & (events.values > 0)
        rows, events, times = (each.only(understood) for each in (rows, events, times))
        seen = _lists(table[SEEN], self._catalogue_rows)
        seen = seen.only(seen.values >= 0)
        names = [name.removeprefix(FEATURE) for name in self._features]
        values = [table[name].to_pylist() for name in self._features]
        features = [dict(zip(names, own, strict=True)) for own in zip(*values, strict=True)]
        return [
            Known(
                user_id,
                History(rows.of(place), events.of(place), times.of(place)),
                seen.of(place),
                features[place] if features else {},
                last[place],
            )
            for place, user_id in enumerate(table[columns.USER].to_pylist())
        ]

    def _catalogue_rows(self, values: pa.Array) -> npt.NDArray[np.int32]:
        return _coded(values, self._ids.row, np.int32)

    def _event_codes(self, values: pa.Array) -> npt.NDArray[np.int16]:
        return _coded(values, self._codes.get, np.int16)


def _instants(values: pa.Array) -> npt.NDArray[np.int64]:
    instants: npt.NDArray[np.int64] = values.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return instants


def _coded(values: pa.Array, code_of: Callable[[str], int | None], kind: type[N]) -> npt.NDArray[N]:
    """The code of every text, -1 where it has none; each different text is looked up once."""
    found = map(code_of, values.dictionary.to_pylist())
    codes = np.asarray([-1 if code is None else code for code in found], kind)
    return codes[values.indices.to_numpy()] if len(codes) else np.empty(0, kind)


def _lists(column: pa.ChunkedArray, coded: Callable[[pa.Array], npt.NDArray[Any]]) -> _Lists:
    lists = pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)
    offsets = lists.offsets.to_numpy().astype(np.int64)
    values = lists.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
    return _Lists(coded(values), offsets - offsets[0])
