"""Uploads, runs and schedules, with the real kfp client against a strict API double."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.compile import compiled
from pipelines.submit import Cluster, ClusterError
from slate.errors import ConfigError
from tests.pipelines.kfp_double import RefusalError, Server, check, serving

IMAGE = "europe-docker.pkg.dev/project/slate/pipeline@sha256:" + "ab" * 32
SECTIONS = (
    "dataset", "split", "retrieval", "index", "ranking", "evaluation", "gate", "recommend", "rollout",
    "drift",
    "tracking",
)  # fmt: skip
ARGUMENTS: dict[str, Any] = {
    **{name: {"k": 10, "nested": {"a": [1, 2]}} for name in SECTIONS},
    "store": "gs://bucket/slate",
    "champion": "r-1",
    "data_fingerprint": "d",
    "code_fingerprint": "c",
    "log": "",
    "events_fingerprint": "",
    "run_id": "run-1",
    "checkpoints": "",
    "cache": "cache",
    "rollout_requested": True,
}


@pytest.fixture(scope="module")
def package() -> str:
    return compiled("training", IMAGE)


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kfp.Client._LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as running:
        yield running


def start(cluster: Cluster, package: str, **changed: Any) -> Any:
    options: dict[str, Any] = {"job": "training run-1", "experiment": "films", **changed}
    return cluster.start("training", package, options.pop("arguments", ARGUMENTS), **options)


def test_a_run_carries_version_parameters_and_service_account(server: Server, package: str) -> None:
    made = start(
        Cluster(server.url), package, service_account="slate-pipeline", pipeline_root="gs://bucket/kfp"
    )
    (run,) = server.runs
    assert run["run_id"] == made.run_id
    assert run["service_account"] == "slate-pipeline"
    assert run["display_name"] == "training run-1"
    assert run["pipeline_version_reference"] == {
        "pipeline_id": made.pipeline_id,
        "pipeline_version_id": made.version_id,
    }
    assert run["runtime_config"] == {"parameters": ARGUMENTS, "pipeline_root": "gs://bucket/kfp"}
    assert server.experiments[run["experiment_id"]]["display_name"] == "films"
    assert made.url == f"{server.url}/#/runs/details/{made.run_id}"
    executors = server.versions[made.version_id]["pipeline_spec"]["deploymentSpec"]["executors"]
    assert {executor["container"]["image"] for executor in executors.values()} == {IMAGE}


def test_the_same_pipeline_is_uploaded_once_and_another_is_a_new_version(
    server: Server, package: str
) -> None:
    first = start(Cluster(server.url), package)
    again = start(Cluster(server.url), package)
    other = start(Cluster(server.url), compiled("training", IMAGE.replace("ab", "cd")))
    assert first.version_id == again.version_id != other.version_id
    assert first.pipeline_id == again.pipeline_id == other.pipeline_id
    assert first.experiment_id == other.experiment_id
    assert len(server.pipelines) == 1
    assert {v["display_name"] for v in server.versions.values()} == {"training", first.version, other.version}
    assert len(server.runs) == 3


def test_a_schedule_has_six_fields_and_makes_up_for_nothing(server: Server, package: str) -> None:
    made = Cluster(server.url).schedule(
        "training",
        package,
        {**ARGUMENTS, "run_id": ""},
        job="nightly",
        experiment="films",
        cron="0 3 * * *",
        service_account="slate-pipeline",
    )
    (recurring,) = server.recurring
    assert recurring["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * *"}}
    assert (recurring["display_name"], recurring["mode"]) == ("nightly", "ENABLE")
    assert (recurring["no_catchup"], recurring["max_concurrency"]) == (True, 1)
    assert recurring["service_account"] == "slate-pipeline"
    assert recurring["pipeline_version_reference"]["pipeline_version_id"] == made.version_id
    assert recurring["runtime_config"]["parameters"]["champion"] == "r-1"
    assert made.url.endswith(f"/recurringrun/details/{made.run_id}")


def test_a_bad_schedule_uploads_nothing(server: Server, package: str) -> None:
    with pytest.raises(ConfigError, match="hour '25'"):
        Cluster(server.url).schedule(
            "training", package, ARGUMENTS, job="nightly", experiment="films", cron="0 25 * * *"
        )
    assert not server.pipelines


def test_a_token_is_sent_and_its_lack_explained(package: str) -> None:
    with serving(Server(token="secret")) as server:
        start(Cluster(server.url, token="secret"), package)
        assert len(server.runs) == 1
        with pytest.raises(
            ClusterError, match=r"not signed in; pass a valid token with --token-env .*identity"
        ):
            Cluster(server.url)


def test_with_several_users_a_namespace_is_needed_and_used(package: str) -> None:
    with serving(Server(multi_user=True)) as server:
        with pytest.raises(ConfigError, match="name your profile with --namespace"):
            Cluster(server.url)
        start(Cluster(server.url, namespace="films"), package)
        (experiment,) = server.experiments.values()
        assert experiment["namespace"] == "films"
        (pipeline,) = server.pipelines.values()
        assert pipeline["namespace"] == "films"


def test_a_refusal_says_what_the_server_said(package: str) -> None:
    with (
        serving(Server(forbidden=True)) as server,
        pytest.raises(
            ClusterError, match=r"uploading pipeline training failed: .*not allowed.*ann@example.org"
        ),
    ):
        start(Cluster(server.url), package)


def test_a_wrong_parameter_is_a_readable_refusal(server: Server, package: str) -> None:
    with pytest.raises(
        ClusterError, match=r"starting run training run-1 failed: .*\['run_id'\] are required"
    ):
        start(Cluster(server.url), package, arguments={k: v for k, v in ARGUMENTS.items() if k != "run_id"})
    assert not server.runs


def test_a_version_name_taken_in_the_meantime_is_a_conflict(server: Server, package: str) -> None:
    cluster = Cluster(server.url)
    start(cluster, package)
    with pytest.raises(RefusalError, match="Already exist"):
        server._upload_version(
            {"name": start(cluster, package).version, "pipelineid": next(iter(server.pipelines))},
            package.encode(),
        )


def test_a_host_that_is_down_is_named_with_a_way_out() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(
        ClusterError, match=rf"127.0.0.1:{port}: reaching it failed: no answer .*port-forward"
    ):
        Cluster(f"http://127.0.0.1:{port}")


def test_a_host_that_is_something_else_is_explained(server: Server) -> None:
    with pytest.raises(ClusterError, match="not found; check --host"):
        Cluster(f"{server.url}/dashboard")


@pytest.mark.parametrize(
    ("kind", "body", "complaint"),
    [
        ("V2beta1Run", {"serviceAccount": "x"}, "unknown field 'serviceAccount'"),
        ("V2beta1Run", {"display_name": 3}, "3 is no str"),
        ("V2beta1RecurringRun", {"mode": "ON"}, "'ON' is none of"),
        ("V2beta1Run", {"runtime_config": {"params": {}}}, "runtime_config: unknown field 'params'"),
    ],
)
def test_the_double_itself_refuses_what_the_models_do_not_know(kind: str, body: Any, complaint: str) -> None:
    with pytest.raises(RefusalError, match=complaint):
        check(body, kind)
