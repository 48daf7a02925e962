"""Recorded runs as plain values, for tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from slate.config import TrackingConfig
from slate.errors import ConfigError
from slate.tracking.attempt import TrackingError, client, reason, shown
from slate.tracking.record import DATASET, ERROR, FAILED_CHECKS, RELEASE, RUN_ID, VERDICT
from slate.tracking.settings import address, database

_PAGE: Final = 200


@dataclass(frozen=True)
class RecordedRun:
    """One run. ``seconds`` is None while it runs; ``metrics`` are each metric's last value."""

    run_id: str
    tracked: str
    experiment: str
    state: str
    started: datetime
    seconds: float | None
    dataset: str
    verdict: str
    failed_checks: str
    release_id: str
    error: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]


def recorded_runs(config: TrackingConfig, limit: int) -> list[RecordedRun]:
    """The latest runs of every experiment, newest first.

    Args:
        config: with its defaults filled in; a named ``experiment`` narrows the search.

    Raises:
        ConfigError: tracking is off, or nothing was recorded at its address yet.
        TrackingError: the address cannot be read.
    """
    uri = address(config)
    if uri is None:
        raise ConfigError("tracking: is off; set tracking.enabled=true, or name a server with tracking.uri")
    file = database(uri)
    if file is not None and not file.is_file():
        raise ConfigError(f"{shown(uri)}: there is no such database; 'slate run' makes it with the first run")
    try:
        return _search(client(uri, config.timeout_seconds), config.experiment, limit)
    except TrackingError:
        raise
    except Exception as error:
        raise TrackingError(f"{shown(uri)}: {reason(error)}; look at tracking.uri") from error


def chosen_run(runs: Sequence[RecordedRun], wanted: str) -> RecordedRun:
    """The run that an id, the beginning of one, or a release id names; ``latest`` is the newest.

    Raises:
        ConfigError: none, or several.
    """
    if wanted == "latest" and runs:
        return runs[0]
    exact = [run for run in runs if wanted in (run.run_id, run.release_id)]
    found = exact or [run for run in runs if run.run_id.startswith(wanted)]
    if len(found) != 1:
        names = ", ".join(run.run_id for run in found[:5])
        raise ConfigError(
            f"run {wanted!r}: is {f'the beginning of {names}' if found else 'not recorded'}; "
            "'slate runs list' names them"
        )
    return found[0]


def _search(client: Any, experiment: str | None, limit: int) -> list[RecordedRun]:
    names = {e.experiment_id: e.name for e in client.search_experiments()}
    wanted = [number for number, name in names.items() if experiment in (None, name)]
    found = client.search_runs(
        wanted, f"tags.`{RUN_ID}` != ''", max_results=min(limit, _PAGE), order_by=["start_time DESC"]
    )
    return [_recorded(run, names[run.info.experiment_id]) for run in found]


def _recorded(run: Any, experiment: str) -> RecordedRun:
    tags, info = run.data.tags, run.info
    ended = info.end_time if info.status != "RUNNING" else None
    return RecordedRun(
        run_id=tags[RUN_ID],
        tracked=info.run_id,
        experiment=experiment,
        state=info.status.lower(),
        started=datetime.fromtimestamp(info.start_time / 1000, UTC),
        seconds=None if ended is None else (ended - info.start_time) / 1000,
        dataset=tags.get(DATASET, ""),
        verdict=tags.get(VERDICT, ""),
        failed_checks=tags.get(FAILED_CHECKS, ""),
        release_id=tags.get(RELEASE, ""),
        error=tags.get(ERROR, ""),
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
    )
