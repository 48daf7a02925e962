"""The same against a real MLflow server, which knows neither our files nor our store."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from slate.release.channels import move_channel
from slate.storage import open_store
from slate.tracking.pointer import mirror_channels
from slate.tracking.record import RELEASE
from tests.tracking.conftest import Recorder
from tests.tracking.test_record import second_release


@pytest.fixture
def server(tmp_path: Path, empty_database: Path) -> Iterator[str]:
    """A tracking server with a registry, on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{empty_database}"]
    command += ["--artifacts-destination", str(tmp_path / "artefacts"), "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = tmp_path / "server.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, cwd=tmp_path, env=environment)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                with urllib.request.urlopen(f"{uri}/health", timeout=1):  # noqa: S310
                    break
            except OSError:
                time.sleep(0.1)
        yield uri
    finally:
        process.terminate()
        process.wait(20)


def test_a_run_its_release_and_a_rollback(recorder: Recorder, server: str) -> None:
    recorder.tracking.update(uri=server, timeout_seconds=20)
    assert [recorder.open("run-1"), recorder.track("run-1"), recorder.register("run-1")] == ["", "", ""]
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("tiny")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert len(client.get_metric_history(run.info.run_id, "two_tower/loss")) > 1
    assert "reports/evaluation.html" in {f.path for f in client.list_artifacts(run.info.run_id, "reports")}

    store, first = open_store(recorder.store), recorder.tiny.release_id
    other = second_release(recorder)
    for release_id in (other, first):
        move_channel(store, "stable", release_id, reason="test", by="test")
        assert mirror_channels(store) == ""
        assert client.get_model_version_by_alias("tiny", "stable").tags[RELEASE] == release_id
