"""Measure a sealed release again: on its own holdout or on newer data, offline or through a server."""

from collections.abc import Sequence
from datetime import datetime
from itertools import repeat
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slate import columns
from slate.clock import from_microseconds
from slate.config import DatasetConfig, load_config, parse_config
from slate.data.ingest import ingest
from slate.data.sequences import NO_HISTORY
from slate.errors import DataError
from slate.evaluation.compare import compare
from slate.evaluation.holdout import Holdout
from slate.evaluation.record import Evaluation
from slate.recommend.open import open_release
from slate.recommend.recommender import Recommender
from slate.steps.assemble import HOLDOUT

_KEY: Final = [columns.USER, columns.ITEM, columns.EVENT, columns.TIMESTAMP]


def evaluate_release(
    release: str,
    *,
    store: str,
    scratch: Path,
    cache: Path,
    endpoint: str | None = None,
    config: Path | None = None,
    overrides: Sequence[str] = (),
) -> Evaluation:
    """Evaluate a release.

    Args:
        release: a channel, a release id or its beginning, or a folder.
        scratch: an empty folder for what is prepared on the way.
        cache: where downloads are kept.
        endpoint: a server's address; its answers are measured instead of the release's own.
        config: a configuration whose data set holds interactions after the release's watermark.
        overrides: ``section.key=value``, over that configuration or the release's own.

    Raises:
        DataError: nothing to measure on.
        ReleaseError: the release cannot be trusted.
    """
    recommender = open_release(release, store=store)
    if config is None:
        chosen = parse_config(recommender.sections, f"release {recommender.release_id}", overrides)
        holdout = Holdout.open(recommender.directory / HOLDOUT)
    else:
        chosen = load_config(config, overrides)
        holdout = newer_holdout(recommender, chosen.dataset, scratch, cache)
    return compare(
        recommender,
        holdout,
        chosen.evaluation,
        events=chosen.dataset.target_events,
        sensitive=chosen.dataset.sensitive_attributes,
        sensitive_items=chosen.dataset.sensitive_item_attributes,
        endpoint=endpoint,
    )


def newer_holdout(recommender: Recommender, dataset: DatasetConfig, scratch: Path, cache: Path) -> Holdout:
    """Interactions after the release's watermark, with histories from the data and from the release.

    Raises:
        DataError: the data holds none.
    """
    split = Holdout.open(recommender.directory / HOLDOUT).split
    watermark = datetime.fromisoformat(split["watermark"])
    ingest(dataset, scratch, cache)
    table = pq.read_table(scratch / columns.INTERACTIONS_FILE)
    complete = pa.scalar(True)
    for name in (columns.USER, columns.ITEM, columns.TIMESTAMP):
        complete = pc.and_(complete, pc.is_valid(table[name]))
    table = table.filter(complete)
    test = table.filter(pc.greater(table[columns.TIMESTAMP], pa.scalar(watermark)))
    if test.num_rows == 0:
        raise DataError(
            f"dataset {dataset.name}: no interaction after the release's watermark {split['watermark']}; "
            "name newer data, or leave --config out to use the holdout that the release ships"
        )
    users = test[columns.USER].unique()
    recent = table.filter(pc.is_in(table[columns.USER], users))
    features = pq.read_table(scratch / columns.USERS_FILE)
    return Holdout(
        test=test,
        history=_with_released_history(recommender, recent),
        users=features.filter(pc.is_in(features[columns.USER], users)),
        split={**split, "protocol": "temporal", "valid_end": split["watermark"]},
    )


def _with_released_history(recommender: Recommender, recent: pa.Table) -> pa.Table:
    """The data's interactions, and those the release knows of the same users that the data lacks."""
    known = {tuple(row[name] for name in _KEY) for row in recent.select(_KEY).to_pylist()}
    rows = []
    for user in recent[columns.USER].unique().to_pylist():
        record = recommender.users.record(user)
        past = NO_HISTORY if record is None else record.history
        items = recommender.catalogue.ids.to_ids(past.items)
        events = [recommender.features.events[code - 1] for code in past.events.tolist()]
        for key in zip(repeat(user), items, events, map(from_microseconds, past.times.tolist())):
            if key not in known:
                rows.append({**dict(zip(_KEY, key, strict=True)), columns.WEIGHT: 0.0})
    return pa.concat_tables([recent, pa.Table.from_pylist(rows, schema=recent.schema)])
