"""Pipeline step: record how a run ended. The exit handler calls it whatever happened."""

import json
from collections.abc import Mapping
from typing import Any, Final

from slate.clock import Clock, SystemClock, isoformat
from slate.config import TrackingConfig, parse_section
from slate.errors import ConflictError, DataError
from slate.storage import open_store
from slate.tracking.attempt import attempt
from slate.tracking.record import end

_SUCCEEDED: Final = "SUCCEEDED"
_CANCELLED: Final = "CANCELLED"


def record_outcome(
    store: str,
    run_id: str,
    job: str,
    status: Mapping[str, Any],
    tracking: Mapping[str, Any],
    clock: Clock | None = None,
) -> None:
    """Write ``runs/<run id>.json`` to the store, and end the run in tracking where it did not succeed.

    What succeeded was ended by the last step that had something to record.

    Args:
        store: a directory or ``gs://bucket/prefix``.
        run_id: the run's name; when empty, as in scheduled runs, ``job``.
        job: what Kubeflow calls this run.
        status: what Kubeflow Pipelines says of the run: ``state`` (SUCCEEDED, FAILED or CANCELLED),
            ``pipeline_job_resource_name``, ``error_code``, ``error_message``; only ``state`` is needed.

        tracking: the section ``tracking``.

    Raises:
        DataError: no state, or neither a run id nor a job.
        ConflictError: another end of this run is already recorded. The same end twice, as after a
            retry, is fine: the first record stays. A run that was cancelled may go on, and end again.
    """
    resource = str(status.get("pipeline_job_resource_name") or "")
    name = run_id or job
    state = status.get("state")
    if not state or not name:
        raise DataError(
            f"run {name!r}: its final status {dict(status)} lacks a state or a name; "
            "pass run_id, or run this as an exit handler"
        )
    record = {
        "schema": 1,
        "run_id": name,
        "state": state,
        "job": resource or None,
        "error_code": status.get("error_code"),
        "error_message": status.get("error_message"),
        "at": isoformat((clock or SystemClock()).now()),
    }
    _write(store, name, record)
    if state != _SUCCEEDED:
        config = parse_section(TrackingConfig, tracking)
        ended = "KILLED" if state == _CANCELLED else "FAILED"
        message = str(status.get("error_message") or "")
        problem = attempt(config, lambda client: end(client, config, name, ended, message))
        if problem:
            print(problem, flush=True)


def _write(store: str, name: str, record: Mapping[str, Any]) -> None:
    key = f"runs/{name}.json"
    objects = open_store(store)
    content = json.dumps(record, indent=1, sort_keys=True).encode()
    try:
        objects.write_new(key, content)
    except ConflictError as error:
        known = objects.read_versioned(key)
        earlier = json.loads(known.data)
        if earlier.get("state") == record["state"]:
            return
        if earlier.get("state") == _CANCELLED:
            objects.compare_and_swap(key, content, known.generation)
            return
        raise ConflictError(
            f"{key} in {store}: already records {earlier.get('state')} at {earlier.get('at')}, "
            f"now {record['state']}; give every run its own run_id"
        ) from error
