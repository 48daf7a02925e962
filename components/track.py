"""Record what the run measured."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def track(
    tracking: dict[str, Any],
    run_id: str,
    job: str,
    dataset: dsl.Input[dsl.Dataset],
    two_tower: dsl.Input[dsl.Model],
    ranker: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    verdict: dsl.Input[dsl.Artifact],
    validation_report: dsl.Input[dsl.HTML],
    drift_report: dsl.Input[dsl.HTML],
    evaluation_report: dsl.Input[dsl.HTML],
) -> str:
    """Empty, or why the run is not recorded."""
    from pathlib import Path

    from slate.steps.track import track

    return track(
        tracking,
        run_id,
        job,
        Path(dataset.path),
        Path(two_tower.path),
        Path(ranker.path),
        Path(evaluation.path),
        Path(verdict.path),
        Path(validation_report.path),
        Path(drift_report.path),
        Path(evaluation_report.path),
    )
