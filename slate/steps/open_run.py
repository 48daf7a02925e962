"""Pipeline step: make the run visible to tracking before anything else happens."""

from collections.abc import Mapping
from typing import Any

from slate.config import SlateConfig, TrackingConfig, parse_section
from slate.tracking.attempt import attempt
from slate.tracking.record import Beginning, begin


def open_run(
    tracking: Mapping[str, Any],
    run_id: str,
    job: str,
    sections: Mapping[str, Mapping[str, Any]],
    data_fingerprint: str,
    code_fingerprint: str,
    store: str,
) -> str:
    """Begin the run, or go on with it where an earlier process was killed; best effort.

    Args:
        job: what Kubeflow calls this run, its name where ``run_id`` is empty, as in scheduled runs.
        sections: the configuration, section name to section; an empty one has no part in this run.

    Returns:
        why it could not be recorded; empty where it was.
    """
    config = parse_section(TrackingConfig, tracking)
    # Kubeflow hands whole numbers over as floats, and objects in any order.
    whole = parse_section(SlateConfig, {name: section for name, section in sections.items() if section})
    settled = {name: whole.section(name) for name in SlateConfig.model_fields if sections.get(name)}
    start = Beginning(run_id or job, settled, data_fingerprint, code_fingerprint, store)
    problem = attempt(config, lambda client: begin(client, config, start))
    print(problem or f"run {start.run_id}", flush=True)
    return problem
