"""Pipeline step: record how a run ended. The exit handler calls it whatever happened."""

import json
from collections.abc import Mapping
from typing import Any

from slate.clock import Clock, SystemClock, isoformat
from slate.errors import ConflictError, DataError
from slate.storage import open_store


def record_outcome(store: str, run_id: str, status: Mapping[str, Any], clock: Clock | None = None) -> None:
    """Write ``runs/<run id>.json`` to the store, once.

    Args:
        store: a directory or ``gs://bucket/prefix``.
        run_id: the run's name; when empty, as in scheduled runs, the last part of the job's own name.
        status: what Kubeflow Pipelines says of the run: ``state`` (SUCCEEDED, FAILED or CANCELLED),
            ``pipeline_job_resource_name``, ``error_code``, ``error_message``; only ``state`` is needed.

    Raises:
        DataError: no state, or neither a run id nor a job name.
        ConflictError: another end of this run is already recorded. The same end twice, as after a
            retry, is fine: the first record stays.
    """
    job = str(status.get("pipeline_job_resource_name") or "")
    name = run_id or job.rpartition("/")[2]
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
        "job": job or None,
        "error_code": status.get("error_code"),
        "error_message": status.get("error_message"),
        "at": isoformat((clock or SystemClock()).now()),
    }
    key = f"runs/{name}.json"
    objects = open_store(store)
    try:
        objects.write_new(key, json.dumps(record, indent=1, sort_keys=True).encode())
    except ConflictError as error:
        earlier = json.loads(objects.read(key))
        if earlier.get("state") != state:
            raise ConflictError(
                f"{key} in {store}: already records {earlier.get('state')} at {earlier.get('at')}, "
                f"now {state}; give every run its own run_id"
            ) from error
