"""What the log says of a time: slates that were shown, what became of them, and what users did besides."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from slate import columns
from slate.feedback import tables
from slate.feedback.days import first_of_each, nullable, read_days
from slate.storage import ObjectStore

EXPOSURE: Final = "exposure_id"
RELEASE: Final = "release_id"
VARIANT: Final = "served_variant"
RUNG: Final = "rung"
LATENCY: Final = "latency_ms"
CONTEXT: Final = "context"
SHOWN: Final = "items"
POSITION: Final = "position"

_EVENT_ID: Final = "event_id"
_RECEIVED: Final = "received"
_INSTANT: Final = pa.timestamp("us", "UTC")
_DAY: Final = timedelta(days=1)
_EXPOSED: Final = nullable(
    tables.EXPOSURES,
    (EXPOSURE, columns.TIMESTAMP, columns.USER, VARIANT, RELEASE, RUNG, LATENCY, CONTEXT, SHOWN),
)
_DONE: Final = (
    _EVENT_ID, columns.USER, columns.ITEM, columns.EVENT, columns.VALUE, columns.TIMESTAMP, _RECEIVED,
)  # fmt: skip
#: What makes two rows the same event of one kind, as in the log.
_SAME: Final = (columns.USER, _EVENT_ID, columns.ITEM, columns.EVENT)
_ANSWERED: Final = nullable(tables.OUTCOMES, (*_DONE, EXPOSURE, RELEASE))
_UNASKED: Final = nullable(tables.EVENTS, (*_DONE, columns.ORGANIC))


class Log(NamedTuple):
    """Exposures and organic events of a time, and the outcomes of these exposures, each once.

    Outcomes of an exposure come until ``complete``, exclusively; of what was shown later, some are missing.
    """

    start: datetime
    end: datetime
    complete: datetime
    exposures: pa.Table
    outcomes: pa.Table
    organic: pa.Table

    @property
    def releases(self) -> list[str]:
        """The releases that answered, sorted."""
        return sorted(self.exposures[RELEASE].unique().to_pylist())

    def of(self, release_id: str) -> "Log":
        """What one release showed and what became of it. Organic events answer to no release."""
        own = self.exposures.filter(pc.equal(self.exposures[RELEASE], release_id))
        answers = self.outcomes.filter(pc.equal(self.outcomes[RELEASE], release_id))
        return self._replace(exposures=own, outcomes=answers)


def read_log(store: ObjectStore, start: datetime, end: datetime, window: timedelta, now: datetime) -> Log:
    """The log from ``start`` to ``end``, exclusively.

    Args:
        window: how long after a slate was shown an outcome counts.
        now: what came later than this is not there yet.

    Raises:
        DataError: a file is not as the consumer writes it.
        StorageError: the store cannot be read.
    """
    last = (end - timedelta(microseconds=1)).date()
    exposures = read_days(store, "exposures/", _EXPOSED, start.date(), last)
    exposures = _between(exposures, start, end)
    # Files are named by the day of receipt, which may be later than the event's.
    late = (end + window).date() + _DAY
    outcomes = read_days(store, "outcomes/", _ANSWERED, start.date(), late)
    outcomes = outcomes.filter(pc.is_in(outcomes[EXPOSURE], exposures[EXPOSURE].combine_chunks()))
    events = read_days(store, "events/", _UNASKED, start.date(), late)
    events = _between(events.filter(events[columns.ORGANIC]), start, end)
    return Log(
        start,
        end,
        now - window,
        first_of_each(exposures, (EXPOSURE,), columns.TIMESTAMP),
        first_of_each(outcomes, (*_SAME, EXPOSURE), _RECEIVED),
        first_of_each(events, _SAME, _RECEIVED),
    )


def contexts(exposures: pa.Table) -> list[dict[str, Any]]:
    """What each request said; what is no object says nothing."""
    found = (json.loads(text) if text else {} for text in exposures[CONTEXT].to_pylist())
    return [context if isinstance(context, dict) else {} for context in found]


def midnight(day: date) -> datetime:
    """The beginning of a day, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _between(table: pa.Table, start: datetime, end: datetime) -> pa.Table:
    times = table[columns.TIMESTAMP]
    from_start = pc.greater_equal(times, pa.scalar(start, _INSTANT))
    return table.filter(pc.and_(from_start, pc.less(times, pa.scalar(end, _INSTANT))))
