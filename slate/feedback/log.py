"""The log of events in the object store, as the consumer writes it: ``events/date=<day>/*.parquet``.

A replayed batch has the name of the one that it replaces. An event counts once all the same, however often it
is in the log. It is the same event where all that makes it one in the queue is the same: its user and its id,
but the slate it answers, the item and what was done, too. So nobody takes an event away from training by
sending another one under its id.
"""

import hashlib
from datetime import datetime
from functools import reduce
from io import BytesIO
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slate import columns
from slate.errors import DataError
from slate.storage.base import Entry, ObjectStore

EVENTS: Final = "events/"
EVENT_ID: Final = "event_id"
EXPOSURE_ID: Final = "exposure_id"
RECEIVED: Final = "received"

_SUFFIX: Final = ".parquet"
_DATE: Final = "date="
_INSTANT: Final = pa.timestamp("us", "UTC")
#: What is read of the log; files may have more.
SCHEMA: Final = pa.schema(
    [
        (EVENT_ID, pa.string()),
        (columns.USER, pa.string()),
        (columns.ITEM, pa.string()),
        (columns.EVENT, pa.string()),
        (columns.VALUE, pa.float64()),
        (columns.TIMESTAMP, _INSTANT),
        (RECEIVED, _INSTANT),
        (columns.ORGANIC, pa.bool_()),
        (EXPOSURE_ID, pa.string()),
    ]
)
_NULLABLE: Final = (columns.VALUE, EXPOSURE_ID)
#: What makes two rows the same event.
_IDENTITY: Final = (columns.USER, EVENT_ID, columns.ORGANIC, EXPOSURE_ID, columns.ITEM, columns.EVENT)


def read_events(store: ObjectStore, after: datetime | None = None) -> pa.Table:
    """Every event of the log once, by time, user and id, with the columns of :data:`SCHEMA`.

    Args:
        after: only events later than this instant; days that lie before it are not read.

    Raises:
        DataError: a file is not as the consumer writes it.
        StorageError: the store cannot be read.
    """
    day = after.date().isoformat() if after is not None else ""
    batches = [_read(store, entry.key) for entry in _files(store) if _day(entry.key) >= day]
    table = pa.concat_tables(batches) if batches else SCHEMA.empty_table()
    if after is not None:
        table = table.filter(pc.greater(table[columns.TIMESTAMP], pa.scalar(after, _INSTANT)))
    return _once(table)


def log_fingerprint(store: ObjectStore) -> str:
    """sha256 over the names and sizes of the log's files: what a cached reading of it depends on.

    Empty where there is no file.
    """
    digest = hashlib.sha256()
    files = _files(store)
    for entry in files:
        digest.update(f"{entry.key}\0{entry.size}\n".encode())
    return digest.hexdigest() if files else ""


def _files(store: ObjectStore) -> list[Entry]:
    return [entry for entry in store.entries(EVENTS) if entry.key.endswith(_SUFFIX)]


def _day(key: str) -> str:
    return key.removeprefix(EVENTS).split("/", 1)[0].removeprefix(_DATE)


def _read(store: ObjectStore, key: str) -> pa.Table:
    where = store.describe(key)
    try:
        table = pq.read_table(BytesIO(store.read(key)))
        return _typed(table, where)
    except pa.ArrowException as error:
        raise DataError(
            f"events {where}: cannot be read ({_first_line(error)}); replay this batch"
        ) from error


def _typed(table: pa.Table, where: str) -> pa.Table:
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise DataError(f"events {where}: has no column {', '.join(missing)}; replay this batch")
    typed = table.select(SCHEMA.names).cast(SCHEMA)
    for name in SCHEMA.names:
        if name not in _NULLABLE and typed[name].null_count:
            raise DataError(
                f"events {where}: {typed[name].null_count} rows without {name}; replay this batch"
            )
    return typed


def _once(table: pa.Table) -> pa.Table:
    """The first received of every event."""
    ordered = table.sort_by([(name, "ascending") for name in (*_IDENTITY, RECEIVED)]).combine_chunks()
    if len(ordered) > 1:
        same: Any = reduce(pc.and_, (_as_before(ordered[name].chunk(0)) for name in _IDENTITY))
        ordered = ordered.filter(pa.concat_arrays([pa.array([True]), pc.invert(same)]))
    return ordered.sort_by([(name, "ascending") for name in (columns.TIMESTAMP, *_IDENTITY)])


def _as_before(values: pa.Array) -> Any:
    """Whether each value but the first is that of the row before; one that is missing equals another."""
    now, before = values.slice(1), values.slice(0, len(values) - 1)
    both_missing = pc.and_(pc.is_null(now), pc.is_null(before))
    return pc.or_(pc.fill_null(pc.equal(now, before), False), both_missing)


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
