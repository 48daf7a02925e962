"""The files of the log, by day: ``<folder>/date=<day>/<source>-<first>-<last>.parquet``."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import reduce
from io import BytesIO
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slate.errors import DataError
from slate.storage.base import Entry, ObjectStore

_DATE: Final = "date="
_SUFFIX: Final = ".parquet"


def files_of(
    store: ObjectStore, folder: str, first: date | None = None, last: date | None = None
) -> list[Entry]:
    """The Parquet files of a folder, such as ``events/``, of the days from ``first`` to ``last`` inclusively.

    Raises:
        StorageError: the store cannot be read.
    """
    since = first.isoformat() if first is not None else ""
    return [
        entry
        for entry in store.entries(folder)
        if entry.key.endswith(_SUFFIX)
        and since <= day_of(entry.key)
        and (last is None or day_of(entry.key) <= last.isoformat())
    ]


def files_by_day(store: ObjectStore, folder: str, first: date, last: date) -> Iterator[Entry]:
    """The same, listed day by day: for one who looks often at a few days of a long log.

    Raises:
        StorageError: the store cannot be read.
    """
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        for entry in store.entries(f"{folder}{_DATE}{day.isoformat()}/"):
            if entry.key.endswith(_SUFFIX):
                yield entry


def day_of(key: str) -> str:
    """The day in a file's key, as it is written there."""
    return key.split("/")[1].removeprefix(_DATE)


def read_days(store: ObjectStore, folder: str, schema: pa.Schema, first: date, last: date) -> pa.Table:
    """The columns of ``schema`` in all files of these days, both inclusively.

    Raises:
        DataError: a file is not as the consumer writes it.
        StorageError: the store cannot be read.
    """
    found = [read_file(store, entry.key, schema) for entry in files_of(store, folder, first, last)]
    return pa.concat_tables([schema.empty_table(), *found])


def read_file(store: ObjectStore, key: str, schema: pa.Schema) -> pa.Table:
    """The columns of ``schema`` in one file.

    Raises:
        DataError: it is not as the consumer writes it.
        StorageError: the store cannot be read.
    """
    try:
        table = pq.read_table(BytesIO(store.read(key)), columns=schema.names)
        return table.select(schema.names).cast(schema)
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise DataError(unreadable(store.describe(key), error)) from error


def nullable(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """Columns of a schema, each of which may lack values."""
    return pa.schema([pa.field(name, schema.field(name).type) for name in names])


def unreadable(where: str, error: BaseException) -> str:
    """What is said of a file that is no Parquet, or not of the log."""
    return f"{where}: cannot be read ({str(error).partition(chr(10))[0]}); replay this batch"


def first_of_each(table: pa.Table, keys: Sequence[str], by: str) -> pa.Table:
    """The row of each key whose ``by`` is least, sorted by key. Keys that are missing equal each other."""
    ordered = table.sort_by([(name, "ascending") for name in (*keys, by)]).combine_chunks()
    if len(ordered) < 2:
        return ordered
    same: Any = reduce(pc.and_, (_as_before(ordered[name].chunk(0)) for name in keys))
    return ordered.filter(pa.concat_arrays([pa.array([True]), pc.invert(same)]))


def _as_before(values: pa.Array) -> Any:
    """Whether each value but the first is that of the row before."""
    now, before = values.slice(1), values.slice(0, len(values) - 1)
    both_missing = pc.and_(pc.is_null(now), pc.is_null(before))
    return pc.or_(pc.fill_null(pc.equal(now, before), False), both_missing)
