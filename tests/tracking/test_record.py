"""What MLflow holds of a run, read back with MLflow's own client."""

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from slate import columns
from slate.evaluation.record import Evaluation
from slate.release.channels import move_channel
from slate.storage import open_store
from slate.tracking.pointer import mirror_channels
from slate.tracking.record import RELEASE, VERDICT
from tests.tracking.conftest import Recorder


def client_of(recorder: Recorder) -> MlflowClient:
    return MlflowClient(recorder.tracking["uri"])


def the_run(recorder: Recorder) -> Any:
    client = client_of(recorder)
    experiment = client.get_experiment_by_name("tiny")
    (run,) = client.search_runs([experiment.experiment_id])
    return run


def test_a_run_is_visible_with_its_configuration_before_anything_is_trained(recorder: Recorder) -> None:
    assert recorder.open("run-1") == ""
    run = the_run(recorder)
    assert run.info.status == "RUNNING"
    assert run.info.run_name == "run-1"
    assert run.data.params["retrieval.epochs"] == "12"
    assert run.data.params["ranking.hidden"] == "[16]"
    assert run.data.tags["slate.data_fingerprint"] == "data-1"
    assert [f.path for f in client_of(recorder).list_artifacts(run.info.run_id)] == ["config.yaml"]
    text = client_of(recorder).download_artifacts(run.info.run_id, "config.yaml")
    assert "patience" in Path(text).read_text(encoding="utf-8")


def test_curves_metrics_data_reports_and_the_release_are_those_of_the_artefacts(recorder: Recorder) -> None:
    assert [recorder.open("run-1"), recorder.track("run-1"), recorder.register("run-1")] == ["", "", ""]
    client, run, folders = client_of(recorder), the_run(recorder), recorder.tiny.folders
    number = run.info.run_id
    for model in ("two_tower", "ranker"):
        record = json.loads((folders[model] / columns.TRAINING_FILE).read_text())
        history = client.get_metric_history(number, f"{model}/loss")
        assert [(m.step, m.value) for m in history] == [
            (e["epoch"], pytest.approx(e["loss"])) for e in record["epochs"]
        ]
        assert len({m.timestamp for m in history}) > 1, "a curve over time is a curve"
    summary = Evaluation.open(folders["evaluation"]).summary()
    assert run.data.metrics["test/ndcg_at_5"] == pytest.approx(summary["funnel"]["ndcg@5"])
    assert run.data.metrics["popularity/test/ndcg_at_5"] == pytest.approx(summary["popularity"]["ndcg@5"])
    assert run.data.metrics["test/coverage"] == pytest.approx(summary["funnel"]["coverage"])
    (used,) = run.inputs.dataset_inputs
    known = json.loads((folders["dataset"] / columns.DATASET_FILE).read_text())
    assert used.dataset.name == "tiny"
    assert json.loads(used.dataset.source)["fingerprint"] == known["fingerprint"]
    assert run.data.tags[VERDICT] == "passed"
    assert run.data.tags[RELEASE] == recorder.tiny.release_id
    assert {f.path for f in client.list_artifacts(number)} == {
        "config.yaml", "explanations.json", "release", "reports", "verdict.json",
    }  # fmt: skip
    assert {f.path for f in client.list_artifacts(number, "reports")} == {
        "reports/validation.html",
        "reports/evaluation.html",
    }
    assert run.info.status == "FINISHED"


def test_recorded_twice_is_recorded_once(recorder: Recorder) -> None:
    for _ in range(2):
        assert [recorder.open("run-1"), recorder.track("run-1"), recorder.register("run-1")] == ["", "", ""]
    run, client = the_run(recorder), client_of(recorder)
    epochs = [m.step for m in client.get_metric_history(run.info.run_id, "two_tower/loss")]
    assert epochs == sorted(set(epochs))
    assert len(client.search_model_versions("name = 'tiny'")) == 1
    assert run.info.status == "FINISHED"


def test_another_run_is_another_run(recorder: Recorder) -> None:
    recorder.open("run-1")
    recorder.open("run-2", retrieval={"epochs": 3})
    client = client_of(recorder)
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.run_name: run.data.params["retrieval.epochs"] for run in runs} == {
        "run-1": "12",
        "run-2": "3",
    }


@pytest.mark.parametrize("status", ["refused", "unchanged"])
def test_a_run_that_makes_no_release_ends_with_its_verdict(
    recorder: Recorder, tmp_path: Path, status: str
) -> None:
    verdict = tmp_path / "verdict.json"
    passed = status == "unchanged"
    checks = [{"name": "coverage", "passed": passed, "detail": "too few"}]
    verdict.write_text(json.dumps({"status": status, "checks": checks}))
    recorder.open("run-1")
    assert recorder.track("run-1", verdict) == ""
    run = the_run(recorder)
    assert (run.info.status, run.data.tags[VERDICT]) == ("FINISHED", status)
    assert run.data.tags["slate.failed_checks"] == ("" if passed else "coverage")


def test_what_was_not_begun_is_recorded_all_the_same(recorder: Recorder) -> None:
    assert recorder.track("run-1") == ""
    assert the_run(recorder).data.metrics["two_tower/loss"] > 0


def test_aliases_follow_the_channels_forth_and_back(recorder: Recorder) -> None:
    recorder.open("run-1")
    recorder.register("run-1")
    client, store, release_id = client_of(recorder), open_store(recorder.store), recorder.tiny.release_id
    stable = client.get_model_version_by_alias("tiny", "stable")
    assert stable.tags[RELEASE] == release_id
    assert stable.run_id == the_run(recorder).info.run_id
    manifest = Path(client.download_artifacts(stable.run_id, "release/manifest.json"))
    assert json.loads(manifest.read_text())["release_id"] == release_id
    assert set(client.get_registered_model("tiny").aliases) == {"stable"}

    # A release that no run of this database made is registered when a channel names it.
    other = second_release(recorder)
    move_channel(store, "candidate", other, reason="test", by="test")
    move_channel(store, "stable", other, reason="test", by="test")
    assert mirror_channels(store) == ""
    assert client.get_model_version_by_alias("tiny", "candidate").tags[RELEASE] == other
    assert client.get_model_version_by_alias("tiny", "stable").tags[RELEASE] == other
    assert client.get_model_version_by_alias("tiny", "stable").description.endswith(f"releases/{other}/")

    move_channel(store, "stable", release_id, reason="back", by="test")
    assert mirror_channels(store) == ""
    assert client.get_model_version_by_alias("tiny", "stable").version == stable.version
    assert len(client.search_model_versions("name = 'tiny'")) == 2


def test_a_store_without_tracked_runs_has_nothing_to_mirror(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").unlink()
    assert mirror_channels(open_store(recorder.store)) == ""
    assert not (tmp_path / "mlflow.db").exists()


def test_a_database_of_another_machine_is_not_made_anew(recorder: Recorder, tmp_path: Path) -> None:
    recorder.register("run-1")
    (tmp_path / "mlflow.db").unlink()
    assert "is not on this machine" in mirror_channels(open_store(recorder.store))
    assert not (tmp_path / "mlflow.db").exists()


def second_release(recorder: Recorder) -> str:
    """The tiny candidate sealed and published once more."""
    from slate.steps.push_release import push_release

    at = recorder.tiny.folders
    return push_release(recorder.store, at["candidate"], at["verdict"], "again")
