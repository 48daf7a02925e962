"""Record how a run ended, whatever happened."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def record_outcome(
    store: str, run_id: str, job: str, tracking: dict[str, Any], status: dsl.PipelineTaskFinalStatus
) -> None:
    """The exit handler: ``runs/<run id>.json`` in the store."""
    from dataclasses import asdict

    from slate.steps.record_outcome import record_outcome

    record_outcome(store, run_id, job, asdict(status), tracking)
