"""Make the run visible to tracking."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def open_run(
    tracking: dict[str, Any],
    run_id: str,
    job: str,
    dataset: dict[str, Any],
    split: dict[str, Any],
    retrieval: dict[str, Any],
    index: dict[str, Any],
    ranking: dict[str, Any],
    evaluation: dict[str, Any],
    gate: dict[str, Any],
    recommend: dict[str, Any],
    rollout: dict[str, Any],
    drift: dict[str, Any],
    data_fingerprint: str,
    code_fingerprint: str,
    store: str,
    incremental: dict[str, Any],
) -> str:
    """Empty, or why the run is not recorded. ``incremental`` is empty in a full training."""
    from slate.steps.open_run import open_run

    sections = {
        "dataset": dataset,
        "split": split,
        "retrieval": retrieval,
        "index": index,
        "ranking": ranking,
        "evaluation": evaluation,
        "gate": gate,
        "recommend": recommend,
        "rollout": rollout,
        "drift": drift,
        "incremental": incremental,
    }
    return open_run(tracking, run_id, job, sections, data_fingerprint, code_fingerprint, store)
