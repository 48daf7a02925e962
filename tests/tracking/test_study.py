"""A study and its trials in MLflow, however often it is gone on with."""

from typing import Any

from mlflow.tracking import MlflowClient

from slate.tracking.attempt import attempt
from slate.tracking.study import STUDY, TRIAL, record_study
from tests.tracking.conftest import Recorder

TRIALS: list[dict[str, Any]] = [
    {
        "number": 0, "state": "finished", "values": {"retrieval.dim": 16}, "value": 0.4, "epochs": [0.3, 0.4],
        "seconds": 2.5, "reason": "", "baseline": True,
    },
    {
        "number": 1, "state": "pruned", "values": {"retrieval.dim": 32}, "value": None, "epochs": [0.1],
        "seconds": 1.0, "reason": "", "baseline": False,
    },
    {
        "number": 2, "state": "failed", "values": {"retrieval.dim": 64}, "value": None, "epochs": [],
        "seconds": 0.5, "reason": "the loss became nan", "baseline": False,
    },
]  # fmt: skip
RUNNING = {**TRIALS[0], "number": 3, "state": "running", "value": None, "baseline": False}
BETTER = {**RUNNING, "state": "finished", "value": 0.5}


def test_trials_are_recorded_once_below_their_study(recorder: Recorder) -> None:
    for trials in (TRIALS[:2], [*TRIALS, RUNNING], [*TRIALS, BETTER]):
        said = attempt(
            recorder.config,
            lambda client, trials=trials: record_study(
                client, recorder.config, "tiny-1", "retrieval", trials
            ),
        )
        assert said == ""
    client = MlflowClient(recorder.tracking["uri"])
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id], f"tags.`{STUDY}` = 'tiny-1'")
    by_trial = {run.data.tags[TRIAL]: run for run in runs}
    assert len(runs) == 5
    study = by_trial.pop("")
    assert study.data.metrics["objective/best"] == 0.5
    assert {run.data.tags["mlflow.parentRunId"] for run in by_trial.values()} == {study.info.run_id}
    assert {number: run.info.status for number, run in by_trial.items()} == {
        "0": "FINISHED",
        "1": "KILLED",
        "2": "FAILED",
        "3": "FINISHED",
    }
    first = by_trial["0"]
    assert first.data.params == {"retrieval.dim": "16"}
    assert first.data.metrics["objective"] == 0.4
    history = client.get_metric_history(first.info.run_id, "objective/epoch")
    assert [(point.step, point.value) for point in history] == [(1, 0.3), (2, 0.4)]
    assert by_trial["2"].data.tags["slate.reason"] == "the loss became nan"
