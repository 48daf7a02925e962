"""What the judge reads of the log in the object store."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from slate import columns
from slate.config import Event
from slate.feedback import tables
from slate.feedback.kept_days import KeptDays
from slate.feedback.metrics.log import EXPOSURES, OUTCOMES, weighed
from slate.rollout.judge.evidence import Step
from slate.storage import ObjectStore

EXPOSURE: Final = "exposure_id"
VARIANT: Final = "assigned_variant"
RUNG: Final = "rung"
ITEMS: Final = "items"
BUCKET: Final = "bucket"
ALLOCATION: Final = "allocation"

_ROLLOUT: Final = "rollout_id"
_STEP: Final = "step"
_EVENT_ID: Final = "event_id"
_SHOWN: Final = pa.schema(
    [
        tables.EXPOSURES.field(name)
        for name in (
            EXPOSURE, columns.TIMESTAMP, columns.USER, VARIANT, BUCKET, ALLOCATION, RUNG, ITEMS,
            _ROLLOUT, _STEP,
        )
    ]
)  # fmt: skip
_DONE: Final = pa.schema(
    [
        tables.OUTCOMES.field(name)
        for name in (
            _EVENT_ID, columns.USER, columns.EVENT, columns.VALUE, columns.TIMESTAMP, _ROLLOUT, _STEP,
        )
    ]
)  # fmt: skip


class Log(NamedTuple):
    """One step's slates, ``shown`` (a row each) and ``items`` (a row an item of one, by exposure id), what
    users did with them, and what they did before the rollout, both with the event's weight."""

    shown: pa.Table
    items: pa.Table
    done: pa.Table
    before: pa.Table


def read_log(
    store: ObjectStore,
    events: Mapping[str, Event],
    step: Step,
    now: datetime,
    before: datetime | None,
    days: KeptDays | None = None,
) -> Log:
    """Read what belongs to a step. Attribution is what the exposure's token said: rollout and step.

    Args:
        events: the data set's, by name; outcomes of other events are left out.
        before: the first instant of what users did before the rollout; None to read none of it.
        days: the store's, of one who reads often; by default all files are read.

    Raises:
        DataError: a file is not as the consumer writes it.
        StorageError: the store cannot be read.
    """
    days = days or KeptDays(store)
    since, until = min(step.started, before or step.started).date(), now.date()
    purpose = f"{step.rollout_id} {step.name} {before}"

    def earlier(outcomes: pa.Table) -> pa.Array:
        times = outcomes[columns.TIMESTAMP]
        begins = pa.scalar(before or step.rollout_started, times.type)
        ends = pa.scalar(step.rollout_started, times.type)
        return pc.and_(pc.greater_equal(times, begins), pc.less(times, ends))

    exposures = _once(
        days.read(
            EXPOSURES,
            _SHOWN,
            step.started.date(),
            until,
            purpose,
            lambda table: table.filter(of_step(table, step)),
        ),
        EXPOSURE,
    )
    outcomes = days.read(
        OUTCOMES,
        _DONE,
        since,
        until,
        purpose,
        lambda table: table.filter(pc.or_(pc.fill_null(of_step(table, step), False), earlier(table))),
    )
    return Log(
        shown=exposures.select(
            [EXPOSURE, columns.TIMESTAMP, columns.USER, VARIANT, BUCKET, ALLOCATION, RUNG]
        ),
        items=_items(exposures),
        done=_weighted(outcomes.filter(of_step(outcomes, step)), events),
        before=_weighted(outcomes.filter(earlier(outcomes)), events),
    )


def of_step(table: pa.Table, step: Step) -> Any:
    """Which rows of a log are of a step: true, false, or null where a row names none."""
    of_rollout: Any = pc.equal(table[_ROLLOUT], step.rollout_id)
    return pc.and_(of_rollout, pc.equal(table[_STEP], step.name))


def _once(table: pa.Table, *keys: str) -> pa.Table:
    """The first row of each key: what got no answer is written again under its id."""
    place = pa.array(range(len(table)), pa.int64())
    firsts = (
        table.select(keys).append_column("place", place).group_by(list(keys)).aggregate([("place", "min")])
    )
    return table.take(firsts["place_min"])


def _items(exposures: pa.Table) -> pa.Table:
    shown = exposures[ITEMS].combine_chunks()
    ids = exposures[EXPOSURE].combine_chunks().take(pc.list_parent_indices(shown))
    return pa.table({EXPOSURE: ids, columns.ITEM: pc.struct_field(pc.list_flatten(shown), columns.ITEM)})


def _weighted(outcomes: pa.Table, events: Mapping[str, Event]) -> pa.Table:
    known = _once(weighed(outcomes, events), columns.USER, _EVENT_ID)
    return known.select([columns.USER, columns.TIMESTAMP, columns.WEIGHT])
