"""Pipeline step: record what the run measured. Reused steps are recorded like those that ran."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from slate.config import TrackingConfig, parse_section
from slate.release.verdict import Verdict
from slate.tracking.attempt import attempt
from slate.tracking.record import Evidence, describe, end

_PASSED: Final = "passed"


def track(
    tracking: Mapping[str, Any],
    run_id: str,
    job: str,
    dataset: Path,
    two_tower: Path,
    ranker: Path,
    evaluation: Path,
    verdict: Path,
    validation_report: Path,
    drift_report: Path,
    evaluation_report: Path,
) -> str:
    """Log curves, metrics, data set, verdict and reports; best effort.

    A run that did not pass has nothing more to do and is ended here.

    Returns:
        why it could not be recorded; empty where it was.
    """
    config = parse_section(TrackingConfig, tracking)
    name = run_id or job
    pages = {"validation": validation_report, "drift": drift_report, "evaluation": evaluation_report}
    evidence = Evidence(dataset, two_tower, ranker, evaluation, verdict, pages)

    def work(client: Any) -> None:
        describe(client, config, name, evidence)
        if Verdict.from_json(verdict.read_text(encoding="utf-8")).status != _PASSED:
            end(client, config, name, "FINISHED")

    problem = attempt(config, work)
    print(problem or f"run {name}", flush=True)
    return problem
