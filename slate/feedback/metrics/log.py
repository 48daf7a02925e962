"""Outcomes and exposures of the log in the object store, as rows that engagement is measured on."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from slate import columns
from slate.config import Event
from slate.feedback import tables
from slate.feedback.days import day_of, files_of, nullable, read_days
from slate.storage import ObjectStore

OUTCOMES: Final = "outcomes/"
EXPOSURES: Final = "exposures/"
VARIANT: Final = "variant"

_ASSIGNED: Final = "assigned_variant"
_INSTANT: Final = pa.timestamp("us", "UTC")
_OUTCOME: Final = nullable(
    tables.OUTCOMES,
    (columns.USER, columns.ITEM, columns.EVENT, columns.VALUE, columns.TIMESTAMP, _ASSIGNED),
)
_EXPOSURE: Final = nullable(tables.EXPOSURES, (columns.USER, columns.TIMESTAMP, _ASSIGNED))
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
    outcomes = read_days(store, OUTCOMES, _OUTCOME, since, until + timedelta(days=late_days))
    exposures = read_days(store, EXPOSURES, _EXPOSURE, since, until + timedelta(days=1))
    answers = weighed(outcomes, events).rename_columns({_ASSIGNED: VARIANT}).select(SCHEMA.names)
    table = pa.concat_tables([answers.cast(SCHEMA), _shown(exposures)])
    days = table[columns.TIMESTAMP].cast(pa.date32())
    inside = pc.and_(
        pc.greater_equal(days, pa.scalar(since, pa.date32())),
        pc.less_equal(days, pa.scalar(until, pa.date32())),
    )
    return table.filter(inside)


def days_of(store: ObjectStore) -> tuple[date, date] | None:
    """The first and the last day with outcomes or exposures; None where there are none."""
    found = [_day(entry.key) for folder in (OUTCOMES, EXPOSURES) for entry in files_of(store, folder)]
    known = sorted(day for day in found if day is not None)
    return (known[0], known[-1]) if known else None


def weighed(outcomes: pa.Table, events: Mapping[str, Event]) -> pa.Table:
    """Outcomes of these events, with what each weighs in a column more, its value counted where it shall."""
    names = pa.array(list(events), pa.string())
    known = outcomes.filter(pc.is_in(outcomes[columns.EVENT], names))
    places = pc.index_in(known[columns.EVENT], names).combine_chunks()
    weights = pa.array([event.weight for event in events.values()], pa.float64()).take(places)
    by_value = pa.array([event.weight_by == "value" for event in events.values()], pa.bool_()).take(places)
    values = pc.fill_null(known[columns.VALUE], 0.0).combine_chunks()
    weight = pc.multiply(weights, pc.if_else(by_value, values, 1.0))
    return known.append_column(columns.WEIGHT, weight)


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


def _day(key: str) -> date | None:
    try:
        return date.fromisoformat(day_of(key))
    except ValueError:
        return None
