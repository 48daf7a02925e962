"""Outcomes and exposures of the log in the object store, as rows that engagement is measured on."""

from collections.abc import Mapping
from datetime import date, timedelta
from io import BytesIO
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slate import columns
from slate.config import Event
from slate.errors import DataError
from slate.storage import ObjectStore

OUTCOMES: Final = "outcomes/"
EXPOSURES: Final = "exposures/"
VARIANT: Final = "variant"

_ASSIGNED: Final = "assigned_variant"
_DATE: Final = "date="
_INSTANT: Final = pa.timestamp("us", "UTC")
_OUTCOME: Final = (columns.USER, columns.ITEM, columns.EVENT, columns.VALUE, columns.TIMESTAMP, _ASSIGNED)
_EXPOSURE: Final = (columns.USER, columns.TIMESTAMP, _ASSIGNED)
SCHEMA: Final = pa.schema(
    [
        (columns.USER, pa.string()),
        (columns.ITEM, pa.string()),
        (columns.WEIGHT, pa.float64()),
        (columns.TIMESTAMP, _INSTANT),
        (VARIANT, pa.string()),
    ]
)


def read_rows(
    store: ObjectStore, events: Mapping[str, Event], since: date, until: date, late_days: int
) -> pa.Table:
    """A row an outcome, with the event's weight, and one an exposure, with weight 0 and without an item.

    Organic events have no slate to answer for and are no outcomes.

    Args:
        events: the data set's, by name; outcomes of other events are left out.
        since: the first day, in UTC, by when it happened.
        until: the last one.
        late_days: how long after it happened an outcome may have come in; files are named by that day.

    Raises:
        DataError: a file is not as the consumer writes it.
        StorageError: the store cannot be read.
    """
    outcomes = _read(store, OUTCOMES, _OUTCOME, since, until + timedelta(days=late_days))
    exposures = _read(store, EXPOSURES, _EXPOSURE, since, until + timedelta(days=1))
    table = pa.concat_tables([_weighted(outcomes, events), _shown(exposures)])
    days = table[columns.TIMESTAMP].cast(pa.date32())
    inside = pc.and_(
        pc.greater_equal(days, pa.scalar(since, pa.date32())),
        pc.less_equal(days, pa.scalar(until, pa.date32())),
    )
    return table.filter(inside)


def days_of(store: ObjectStore) -> tuple[date, date] | None:
    """The first and the last day with outcomes or exposures; None where there are none."""
    found = [_day(entry.key) for folder in (OUTCOMES, EXPOSURES) for entry in store.entries(folder)]
    known = sorted(day for day in found if day is not None)
    return (known[0], known[-1]) if known else None


def _read(store: ObjectStore, folder: str, names: tuple[str, ...], since: date, until: date) -> pa.Table:
    tables = []
    for entry in store.entries(folder):
        day = _day(entry.key)
        if day is None or not since <= day <= until:
            continue
        try:
            tables.append(pq.read_table(BytesIO(store.read(entry.key)), columns=list(names)).select(names))
        except (pa.ArrowException, KeyError) as error:
            raise DataError(f"{store.describe(entry.key)}: cannot be read ({error}); replay it") from error
    kinds = {columns.TIMESTAMP: _INSTANT, columns.VALUE: pa.float64()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in names])
    return pa.concat_tables([table.cast(schema) for table in tables]) if tables else schema.empty_table()


def _weighted(outcomes: pa.Table, events: Mapping[str, Event]) -> pa.Table:
    outcomes = outcomes.filter(pc.is_in(outcomes[columns.EVENT], pa.array(list(events), pa.string())))
    places = pc.index_in(outcomes[columns.EVENT], pa.array(list(events), pa.string()))
    weights = pa.array([event.weight for event in events.values()], pa.float64()).take(_flat(places))
    by_value = pa.array([event.weight_by == "value" for event in events.values()], pa.bool_()).take(
        _flat(places)
    )
    values = pc.fill_null(outcomes[columns.VALUE], 0.0)
    return pa.table(
        [
            outcomes[columns.USER],
            outcomes[columns.ITEM],
            pc.multiply(weights, pc.if_else(by_value, _flat(values), 1.0)),
            outcomes[columns.TIMESTAMP],
            outcomes[_ASSIGNED],
        ],
        schema=SCHEMA,
    )


def _shown(exposures: pa.Table) -> pa.Table:
    return pa.table(
        [
            exposures[columns.USER],
            pa.nulls(len(exposures), pa.string()),
            pa.array([0.0] * len(exposures), pa.float64()),
            exposures[columns.TIMESTAMP],
            exposures[_ASSIGNED],
        ],
        schema=SCHEMA,
    )


def _flat(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks()


def _day(key: str) -> date | None:
    part = key.split("/")[1] if key.count("/") == 2 and key.endswith(".parquet") else ""
    try:
        return date.fromisoformat(part.removeprefix(_DATE))
    except ValueError:
        return None
