"""The log of events in the object store, as the consumer writes it: ``events/date=<day>/*.parquet``.

A replayed batch has the name of the one that it replaces. An event counts once all the same, however often it
is in the log. It is the same event where all that makes it one in the queue is the same: its user and its id,
but the slate it answers, the item and what was done, too. So nobody takes an event away from training by
sending another one under its id.
"""

import hashlib
from datetime import datetime
from io import BytesIO
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slate import columns
from slate.errors import DataError
from slate.feedback.days import files_of, first_of_each, unreadable
from slate.storage.base import ObjectStore

EVENTS: Final = "events/"
EVENT_ID: Final = "event_id"
EXPOSURE_ID: Final = "exposure_id"
RECEIVED: Final = "received"

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
    files = files_of(store, EVENTS, after.date() if after is not None else None)
    batches = [_read(store, entry.key) for entry in files]
    table = pa.concat_tables(batches) if batches else SCHEMA.empty_table()
    if after is not None:
        table = table.filter(pc.greater(table[columns.TIMESTAMP], pa.scalar(after, _INSTANT)))
    return _once(table)


def log_fingerprint(store: ObjectStore) -> str:
    """sha256 over the names and sizes of the log's files: what a cached reading of it depends on.

    Empty where there is no file.
    """
    digest = hashlib.sha256()
    files = files_of(store, EVENTS)
    for entry in files:
        digest.update(f"{entry.key}\0{entry.size}\n".encode())
    return digest.hexdigest() if files else ""


def _read(store: ObjectStore, key: str) -> pa.Table:
    where = store.describe(key)
    try:
        table = pq.read_table(BytesIO(store.read(key)))
        return _typed(table, where)
    except pa.ArrowException as error:
        raise DataError(f"events {unreadable(where, error)}") from error


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
    firsts = first_of_each(table, _IDENTITY, RECEIVED)
    return firsts.sort_by([(name, "ascending") for name in (columns.TIMESTAMP, *_IDENTITY)])
