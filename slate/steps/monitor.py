"""Live traffic against the releases that served it: from the store, and back into it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slate import columns
from slate.config import SlateConfig
from slate.errors import SlateError
from slate.evaluation.holdout import Holdout, asks_for
from slate.monitoring.log import midnight, read_log
from slate.monitoring.measure import Release, measure
from slate.monitoring.record import Record, write
from slate.monitoring.reference import REFERENCE_FILE, Reference, as_exposures
from slate.monitoring.traffic import HISTORY, Known
from slate.recommend.recommender import USERS, Recommender
from slate.recommend.request import Request
from slate.recommend.users import TIMES, users_table
from slate.release.resolve import open_verified
from slate.storage import ObjectStore

REPORTS: Final = "reports"

_FEATURE: Final = "feature_"
_DAY: Final = timedelta(days=1)
#: How many requests of the holdout describe what a release shows.
_REQUESTS: Final = 2000
_AT_ONCE: Final = 256


@dataclass(frozen=True)
class Monitored:
    """The records of one time, and what could not be measured, by release."""

    records: tuple[Record, ...]
    notes: tuple[str, ...]


def monitor(config: SlateConfig, store: ObjectStore, day: date, now: datetime, *, keep: bool) -> Monitored:
    """Measure one day (UTC), each release that answered by itself.

    Args:
        now: outcomes that came later are not there yet.
        keep: write the records into the store.

    Raises:
        DataError: the log cannot be read.
        ConfigError: ``monitoring.severities`` names an unknown figure.
    """
    return _between(config, store, midnight(day), midnight(day) + _DAY, now, keep=keep)


def monitor_last(config: SlateConfig, store: ObjectStore, now: datetime) -> Monitored:
    """Measure the 24 hours before ``now``; nothing is written."""
    return _between(config, store, now - _DAY, now, now, keep=False)


def _between(
    config: SlateConfig, store: ObjectStore, start: datetime, end: datetime, now: datetime, *, keep: bool
) -> Monitored:
    window = timedelta(seconds=config.feedback.window_s)
    log = read_log(store, start, end, window, now)
    records, notes = [], []
    for release_id in log.releases:
        try:
            release = open_release(store, release_id)
        except SlateError as error:
            notes.append(f"{release_id} cannot be compared with: {error}")
            continue
        record = Record(start.date(), release_id, measure(log, release, config.monitoring))
        if keep:
            write(store, record)
        records.append(record)
    return Monitored(tuple(records), tuple(notes))


def open_release(store: ObjectStore, release_id: str) -> Release:
    """What of a release its traffic is judged by; no model is loaded.

    Raises:
        ReleaseError, NotFoundError: it is not in the store, or not as sealed.
        DataError: its description of its slates cannot be read.
    """
    opened = open_verified(release_id, store)
    described = opened.path / REPORTS / REFERENCE_FILE
    reference = Reference.from_json(described.read_text("utf-8")) if described.is_file() else None
    statistics = json.loads((opened.path / columns.STATISTICS_FILE).read_text("utf-8"))
    return Release(release_id, known(opened.path), statistics, opened.manifest.events, reference)


def known(content: Path) -> Known:
    """The items of a release, and its users with how much of their histories it ships."""
    shipped = users_table(content / USERS)
    names = [n for n in shipped.column_names if n.startswith(_FEATURE)]
    length = pc.list_value_length(shipped[TIMES])
    users = shipped.select([columns.USER, *names]).append_column(HISTORY, length)
    plain = [n.removeprefix(_FEATURE) for n in users.column_names]
    return Known(pq.read_table(content / columns.ITEMS_FILE), users.rename_columns(plain))


def describe_slates(recommender: Recommender, holdout: Holdout, events: Sequence[str], out: Path) -> None:
    """Write what a release shows to the users of its holdout: what its traffic will be compared with.

    Up to 2,000 of the requests that the evaluation asks, evenly spread, are answered to the end.
    """
    table = holdout.targets(events)
    step = max(1, -(-table.num_rows // _REQUESTS))
    table = table.take(pa.array(range(0, table.num_rows, step)))
    asks = asks_for(recommender, holdout, table)
    requests = [Request(user_id=user, seed=0) for user in table[columns.USER].to_pylist()]
    slates = []
    for at in range(0, len(asks), _AT_ONCE):
        part = asks[at : at + _AT_ONCE]
        slates += recommender.funnel.order(part, requests[at : at + _AT_ONCE], recommender.rank(part))
    context: list[dict[str, Any]] = [dict(ask.query.context) for ask in asks]
    exposures = as_exposures(slates, [ask.query.at for ask in asks], context)
    names = sorted({name for each in context for name in each})
    out.write_text(Reference.of(exposures, known(recommender.directory), names).to_json(), "utf-8")
