"""The launcher against an API over HTTP: what it asks for, what it says, and that nothing is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slate.config import WorkersConfig
from slate.errors import ClusterError, ConfigError
from slate.steps.train_on_workers import train_on_workers
from slate.steps.workers.cluster import Cluster
from slate.steps.workers.exchange import Exchange
from slate.steps.workers.job import Own, tfjob
from slate.steps.workers.launch import run_job
from tests.steps.workers.operator_double import IMAGE, JOBS, NAMESPACE, Operator, serving

JOB = tfjob("slate-towers-x", Own(IMAGE, "slate-pipeline"), WorkersConfig(), "gs://b/exchange/x")


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with serving(Operator(tmp_path, runs=False)) as made:
        yield made


@pytest.fixture
def cluster(operator: Operator) -> Cluster:
    from kubernetes import client

    settings = client.Configuration()
    settings.host, settings.retries = operator.url, 0
    return Cluster(client.ApiClient(settings), NAMESPACE, "launcher-pod")


def ends(operator: Operator, **how: Any) -> threading.Timer:
    def change() -> None:
        for name, value in how.items():
            setattr(operator, name, value)

    timer = threading.Timer(0.3, change)
    timer.start()
    return timer


def test_workers_are_what_their_launcher_is(cluster: Cluster) -> None:
    assert cluster.own() == Own(IMAGE, "slate-pipeline")


def test_a_job_that_fails_leaves_its_last_words_and_nothing_else(
    operator: Operator, cluster: Cluster
) -> None:
    said: list[str] = []
    operator.waiting = "Back-off pulling image"
    timer = ends(operator, waiting="", failed=True)
    with pytest.raises(ClusterError, match=r"(?s)1 Worker replica.*slate-towers-x-worker-0:\nthe last words"):
        run_job(cluster, JOB, 0.05, said.append)
    timer.join()
    assert any("Back-off pulling image" in each for each in said)
    assert len(said) == len(set(said)), "news is told once"
    assert operator.jobs == {}
    assert operator.requests[-1] == ("DELETE", f"{JOBS}/slate-towers-x")


def test_what_a_killed_launcher_left_goes_first(operator: Operator, cluster: Cluster) -> None:
    operator.jobs["slate-towers-x"] = {"metadata": {"name": "slate-towers-x"}, "old": True}
    operator.failed = True
    with pytest.raises(ClusterError):
        run_job(cluster, JOB, 0.01, lambda _: None)
    methods = [method for method, path in operator.requests if path.startswith(JOBS)]
    assert methods.index("DELETE") < methods.index("POST")


def test_a_job_that_somebody_deletes_is_an_error(operator: Operator, cluster: Cluster) -> None:
    timer = ends(operator, jobs={})
    with pytest.raises(ClusterError, match="somebody deleted it"):
        run_job(cluster, JOB, 0.05, lambda _: None)
    timer.join()


def test_an_api_that_is_away_for_a_while_ends_nothing(operator: Operator, cluster: Cluster) -> None:
    said: list[str] = []

    def later() -> None:
        while not operator.jobs:
            time.sleep(0.01)
        operator.refusals["GET"] = [503, 503, 503]
        time.sleep(0.3)
        operator.failed = True

    thread = threading.Thread(target=later)
    thread.start()
    with pytest.raises(ClusterError, match="1 Worker replica"):
        run_job(cluster, JOB, 0.02, said.append)
    thread.join()
    assert [each for each in said if "asking again" in each]


@pytest.mark.parametrize(
    ("status", "words"), [(403, "k8s/training"), (404, "training operator"), (500, "500")]
)
def test_a_refusal_says_what_to_do(operator: Operator, cluster: Cluster, status: int, words: str) -> None:
    operator.refusals["POST"] = [status]
    with pytest.raises(ClusterError, match=words) as refused:
        run_job(cluster, JOB, 0.01, lambda _: None)
    assert f"said {status}" in str(refused.value)


def test_a_launcher_that_is_stopped_takes_its_job_with_it(operator: Operator) -> None:
    script = (
        "import sys\n"
        "from kubernetes import client\n"
        "from slate.steps.workers.cluster import Cluster\n"
        "from slate.steps.workers.launch import run_job\n"
        "settings = client.Configuration()\n"
        "settings.host = sys.argv[1]\n"
        "job = {'metadata': {'name': 'x'}}\n"
        "run_job(Cluster(client.ApiClient(settings), 'kubeflow', 'p'), job, 0.05)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, operator.url], env=dict(os.environ))
    try:
        while "x" not in operator.jobs:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    finally:
        process.kill()
    assert operator.jobs == {}


DATASET = {"interactions": {"path": "x"}}


def test_off_a_cluster_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ClusterError, match=r"in no pod of a cluster.*slate run"):
        train_on_workers({}, {}, DATASET, tmp_path, tmp_path / "out", "gs://b/c")


def test_what_cannot_be_shared_is_refused_before_anything_starts(tmp_path: Path, cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="--checkpoints"):
        train_on_workers({}, {}, DATASET, tmp_path, tmp_path / "o", "", cluster=cluster)
    with pytest.raises(ConfigError, match="batch_size 4"):
        train_on_workers(
            {"count": 8}, {"batch_size": 4}, DATASET, tmp_path, tmp_path / "o", "c", cluster=cluster
        )


def test_a_success_without_a_result_is_an_error(
    tmp_path: Path, operator: Operator, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "split.json").write_text("{}")
    done = {"conditions": [{"type": "Succeeded", "status": "True"}]}
    monkeypatch.setattr(operator, "status", lambda _: done)
    place = str(tmp_path / "checkpoints")
    with pytest.raises(ClusterError, match="left no result"):
        train_on_workers(
            {}, {}, DATASET, tmp_path / "splits", tmp_path / "o", place, cluster=cluster, every_s=0.01
        )


def test_the_exchange_replaces_what_an_earlier_attempt_left(tmp_path: Path) -> None:
    exchange = Exchange(str(tmp_path / "e"))
    assert exchange.finished() is None
    for text in ("old", "new"):
        folder = tmp_path / text
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "a").write_text(text)
        (folder / f"only-{text}").write_text(text)
        exchange.put("splits", folder)
        exchange.ask({"retrieval": {"text": text}})
        exchange.finish({"loss": 1.0})
    fetched = exchange.fetch("splits", tmp_path / "fetched")
    assert (fetched / "deep" / "a").read_text() == "new"
    assert not (fetched / "only-old").exists()
    assert exchange.asked() == {"retrieval": {"text": "new"}}
    assert exchange.finished() == {"loss": 1.0}
    exchange.clear()
    assert exchange.finished() is None
