"""Pipeline step: make the pushed release a version of the registered model; aliases follow the channels."""

from collections.abc import Mapping
from typing import Any

from slate.config import TrackingConfig, parse_section
from slate.storage import open_store
from slate.tracking.attempt import attempt
from slate.tracking.pointer import write
from slate.tracking.record import end
from slate.tracking.registry import mirror, register
from slate.tracking.settings import address


def register_release(tracking: Mapping[str, Any], run_id: str, job: str, store: str, release_id: str) -> str:
    """Register the release and end the run; best effort.

    The store remembers the registry first, so that whoever moves a channel later finds it.

    Returns:
        why it could not be recorded; empty where it was.
    """
    config = parse_section(TrackingConfig, tracking)
    if address(config) is None:
        return ""
    target = open_store(store)
    write(target, config)
    name = run_id or job

    def work(client: Any) -> None:
        register(client, config, target, release_id, name)
        mirror(client, config, target)
        end(client, config, name, "FINISHED")

    problem = attempt(config, work)
    print(problem or f"registered {release_id} as a version of {config.model}", flush=True)
    return problem
