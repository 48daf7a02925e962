"""Whether the live release is to be brought up to date: by time, by volume, or by drift."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from slate import columns
from slate.clock import isoformat
from slate.config import DatasetConfig, DriftConfig, SlateConfig, TriggersConfig
from slate.data import statistics
from slate.data.drift.distributions import event_mix, popularity
from slate.data.drift.figures import Measured
from slate.data.ingest import Prepared, interactions_after
from slate.data.union import with_events
from slate.errors import ConfigError
from slate.feedback.log import read_events
from slate.monitoring import record
from slate.monitoring.log import midnight
from slate.steps.champion import Champion, open_champion
from slate.storage import open_store

SCHEDULE: Final = "schedule"
VOLUME: Final = "volume"
DRIFT: Final = "drift"
MONITORED: Final = "monitored"

_OFF: Final = "off"
_Measure = Callable[[Mapping[str, Any], Mapping[str, Any]], Iterator[Measured]]
_WATCHED: Final[tuple[tuple[str, _Measure], ...]] = (("popularity", popularity), ("event_mix", event_mix))


@dataclass(frozen=True)
class Due:
    """Why an incremental run is due; no reason, and it is not.

    ``reasons`` maps schedule, volume, drift and monitored to a sentence. ``interactions`` is how many are
    later than the data of ``release_id``, which was made ``hours`` ago.
    """

    release_id: str
    hours: float
    interactions: int
    reasons: Mapping[str, str]

    def __bool__(self) -> bool:
        return bool(self.reasons)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "due": bool(self),
            "release_id": self.release_id,
            "hours": round(self.hours, 3),
            "interactions": self.interactions,
            "reasons": dict(self.reasons),
        }


def due(config: SlateConfig, store: str, champion: str, cache: Path, now: datetime) -> Due:
    """Judge the triggers of ``incremental.triggers`` against the data set and the log as they are now.

    Nothing is due without a single new interaction, since nothing could be learnt.

    Raises:
        ConfigError: there is no live release.
        DataError: the data set or the log cannot be read.
    """
    live = open_champion(store, champion)
    if live is None:
        raise ConfigError(
            f"incremental: {store} has no live release to start from; train in full with 'slate run'"
        )
    watermark = datetime.fromisoformat(live.manifest.dataset.watermark)
    new = new_interactions(config.dataset, store, cache, watermark)
    hours = (now - datetime.fromisoformat(live.manifest.created_at)).total_seconds() / 3600
    reasons: dict[str, str] = {}
    if new.num_rows:
        triggers = config.incremental.triggers
        reasons = dict(_reasons(triggers, config.drift, live, new, hours))
        if triggers.monitored_h is not None:
            reasons |= _monitored(store, live.release_id, now - timedelta(hours=triggers.monitored_h))
    return Due(live.release_id, hours, new.num_rows, reasons)


def new_interactions(dataset: DatasetConfig, store: str, cache: Path, after: datetime) -> pa.Table:
    """What is later than an instant, in the data set and in the log of the store together."""
    later = interactions_after(dataset, cache, after)
    nobody = (
        pa.table({columns.ITEM: pa.array([], pa.string())}),
        pa.table({columns.USER: pa.array([], pa.string())}),
    )
    return with_events(
        dataset, Prepared(later, *nobody), read_events(open_store(store), after)
    ).prepared.interactions


def _reasons(
    triggers: TriggersConfig, drift: DriftConfig, live: Champion, new: pa.Table, hours: float
) -> Iterator[tuple[str, str]]:
    if triggers.every_h is not None and hours >= triggers.every_h:
        made = isoformat(datetime.fromisoformat(live.manifest.created_at))
        yield (
            SCHEDULE,
            f"the live release was made {hours:.1f} h ago, at {made}; the limit is {triggers.every_h:g} h",
        )
    rows = new.num_rows
    if triggers.interactions is not None and rows >= triggers.interactions:
        yield VOLUME, f"{rows:,} interactions are new; the limit is {triggers.interactions:,}"
    if triggers.drift_interactions is not None and rows >= triggers.drift_interactions:
        moved = list(_moved(drift, live, new))
        if moved:
            yield DRIFT, "; ".join(moved)


def _moved(config: DriftConfig, live: Champion, new: pa.Table) -> Iterator[str]:
    """What of the new interactions lies beyond its limit, or beyond chance where that is wider."""
    parent = json.loads((live.path / columns.STATISTICS_FILE).read_text(encoding="utf-8"))
    current = {"interactions": statistics.describe_interactions(new)}
    for name, measure in _WATCHED:
        if config.severities.get(name) == _OFF:
            continue
        for found in measure(parent, current):
            limit = max(getattr(config, name), found.chance or 0.0)
            if found.value is not None and found.value > limit:
                yield f"{name} moved by {found.value:.3f} bits; the limit is {limit:.3f}"


def _monitored(store: str, release_id: str, since: datetime) -> dict[str, str]:
    """What ``slate monitor`` last found of the live release, if its day ended after ``since``."""
    found = record.latest(open_store(store), release_id)
    if found is None or not found.moved or midnight(found.day) + timedelta(days=1) < since:
        return {}
    return {MONITORED: f"traffic of {found.day}: " + "; ".join(str(figure) for figure in found.moved)}
