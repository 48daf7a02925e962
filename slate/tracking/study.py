"""A tuning study in MLflow: a run for the study, and one below it for each trial."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from slate.config import TrackingConfig
from slate.tracking.record import experiment_of

STUDY: Final = "slate.study"
TRIAL: Final = "slate.trial"
_PARENT: Final = "mlflow.parentRunId"
_ENDS: Final = {"finished": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
_MANY: Final = 1_000


def record_study(
    client: Any, config: TrackingConfig, study: str, objective: str, trials: Sequence[Mapping[str, Any]]
) -> None:
    """Record the trials that have ended and are not recorded yet.

    Args:
        study: its name; the same name is the same run, however often it is gone on with.
        trials: each as :meth:`slate.tuning.trial.Trial.plain` gives it.
    """
    number = experiment_of(client, config)
    parent = _only(client, number, f"tags.`{STUDY}` = '{study}' and tags.`{TRIAL}` = ''")
    if parent is None:
        tags = {STUDY: study, TRIAL: "", "mlflow.source.name": "slate tune"}
        parent = client.create_run(number, run_name=study, tags=tags)
        client.log_param(parent.info.run_id, "objective", objective)
    known = client.search_runs([number], f"tags.`{STUDY}` = '{study}'", max_results=_MANY)
    recorded = {run.data.tags.get(TRIAL, "") for run in known}
    for trial in trials:
        if trial["state"] in _ENDS and str(trial["number"]) not in recorded:
            _record(client, number, parent.info.run_id, study, trial)
    best = max((t["value"] for t in trials if t["value"] is not None), default=None)
    if best is not None:
        client.log_metric(parent.info.run_id, "objective/best", best, step=len(trials))
    client.set_terminated(parent.info.run_id)


def _record(client: Any, experiment: str, parent: str, study: str, trial: Mapping[str, Any]) -> None:
    from mlflow.entities import Metric, Param

    tags = {
        STUDY: study,
        TRIAL: str(trial["number"]),
        _PARENT: parent,
        "slate.state": trial["state"],
        "slate.reason": trial["reason"],
        "slate.as_configured": str(trial["baseline"]).lower(),
    }
    run = client.create_run(experiment, run_name=f"{study} trial {trial['number']}", tags=tags)
    at = run.info.start_time
    metrics = [Metric("objective/epoch", v, at + n, n) for n, v in enumerate(trial["epochs"], start=1)]
    if trial["value"] is not None:
        metrics.append(Metric("objective", trial["value"], at, 0))
    metrics.append(Metric("seconds", trial["seconds"], at, 0))
    params = [Param(name, str(value)) for name, value in trial["values"].items()]
    client.log_batch(run.info.run_id, metrics=metrics, params=params)
    client.set_terminated(run.info.run_id, status=_ENDS[trial["state"]])


def _only(client: Any, experiment: str, wanted: str) -> Any | None:
    found = client.search_runs([experiment], wanted, max_results=1)
    return found[0] if found else None
