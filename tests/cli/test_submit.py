"""``slate submit`` and ``slate schedule``, with the real kfp client, API double and object store."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pipelines.fingerprint import code_fingerprint
from slate.cli.main import app
from slate.cli.parameters import SECTIONS
from slate.config import load_config
from slate.data.ingest import source_fingerprint
from slate.errors import ConfigError
from tests.pipelines.kfp_double import Server, serving

IMAGE = "registry.example/slate@sha256:" + "34" * 32
CONFIG = """
dataset:
  name: shop
  interactions:
    path: clicks.csv
    columns: {user_id: who, item_id: what, timestamp: at}
retrieval: {epochs: 7}
"""


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kfp.Client._LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text(CONFIG)
    (tmp_path / "clicks.csv").write_text("who,what,at\nann,pen,1\nbob,ink,2\n")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("MY_TOKEN", "secret")
    with serving(Server(token="secret")) as running:
        yield running


def call(command: str, *arguments: str) -> Result:
    return CliRunner().invoke(
        app, [command, "--config", "shop.yaml", "--image", IMAGE, "--token-env", "MY_TOKEN", *arguments]
    )


@pytest.mark.gcs
def test_submit_sends_the_whole_configuration(server: Server, gcs: Any) -> None:
    bucket = gcs.new_bucket()
    result = call(
        "submit",
        *("--host", server.url, "--store", f"{bucket}/slate", "--set", "index.k=20", "--rollout", "--json"),
        *("--service-account", "trainer", "--experiment", "shop", "--checkpoints", f"{bucket}/ckpt"),
    )
    assert result.exit_code == 0, result.exception
    answer = json.loads(result.stdout)
    (run,) = server.runs
    assert (run["run_id"], run["service_account"]) == (answer["run_id"], "trainer")
    given = run["runtime_config"]["parameters"]
    assert given["retrieval"]["epochs"] == 7
    assert given["index"]["k"] == 20
    assert set(SECTIONS) < set(given)
    assert (given["store"], given["champion"]) == (f"{bucket}/slate", "")
    assert given["code_fingerprint"] == code_fingerprint()
    assert given["run_id"] == answer["slate_run_id"]
    assert given["checkpoints"] == f"{bucket}/ckpt"
    assert given["rollout_requested"] is True
    config = load_config("shop.yaml", ["index.k=20"])
    assert given["data_fingerprint"] == source_fingerprint(config.dataset, Path("unused"))
    spec = server.versions[answer["version_id"]]["pipeline_spec"]
    assert {e["container"]["image"] for e in spec["deploymentSpec"]["executors"].values()} == {IMAGE}


@pytest.mark.gcs
def test_data_that_only_the_cluster_can_read_is_named(server: Server, gcs: Any, tmp_path: Path) -> None:
    (tmp_path / "clicks.csv").unlink()
    result = call(
        "submit", "--host", server.url, "--store", f"{gcs.new_bucket()}/s", "--data-fingerprint", "2026-11-20"
    )
    assert result.exit_code == 0, result.exception
    assert server.runs[0]["runtime_config"]["parameters"]["data_fingerprint"] == "2026-11-20"


def test_schedule_reuses_nothing_and_meets_the_champion_of_the_day(server: Server) -> None:
    result = call(
        "schedule", "--host", server.url, "--store", "gs://shop/slate", "--cron", "30 3 * * mon-fri"
    )
    assert result.exit_code == 0, result.exception
    (recurring,) = server.recurring
    assert recurring["trigger"]["cron_schedule"]["cron"] == "0 30 3 * * mon-fri"
    given = recurring["runtime_config"]["parameters"]
    assert (given["champion"], given["run_id"]) == ("stable", "")
    version = server.versions[recurring["pipeline_version_reference"]["pipeline_version_id"]]
    assert "enableCache" not in json.dumps(version["pipeline_spec"])
    assert "schedule " in result.stdout


def test_a_nightly_update_starts_from_the_release_of_the_day(server: Server) -> None:
    result = call(
        *("schedule", "--pipeline", "incremental", "--host", server.url, "--store", "gs://shop/slate"),
        *("--cron", "0 3 * * *", "--set", "incremental.replay=7"),
    )
    assert result.exit_code == 0, result.exception
    given = server.recurring[0]["runtime_config"]["parameters"]
    assert (given["champion"], given["events_fingerprint"]) == ("stable", "scheduled")
    assert given["incremental"]["replay"] == 7


@pytest.mark.gcs
def test_an_update_of_nothing_is_not_submitted(server: Server, gcs: Any) -> None:
    result = call(
        "submit", "--pipeline", "incremental", "--host", server.url, "--store", f"{gcs.new_bucket()}/s"
    )
    assert isinstance(result.exception, ConfigError)
    assert "has no live release to start from" in str(result.exception)
    assert not server.runs


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--store", "here"], "a cluster cannot see this directory; use --store gs://"),
        (["--store", "gs://b/s", "--token-env", "NOT_SET"], "NOT_SET: this environment variable is empty"),
        (["--store", "gs://b/s", "--image", "slate:latest"], "not pinned by digest"),
        (["--store", "gs://b/s", "--cron", "0 99 * * *"], "hour '99' is out of range"),
    ],
)
def test_what_a_cluster_could_not_do_is_refused_at_home(
    server: Server, arguments: list[str], complaint: str
) -> None:
    result = call("schedule", "--host", server.url, "--cron", "0 3 * * *", *arguments)
    assert isinstance(result.exception, ConfigError)
    assert complaint in str(result.exception)
    assert not server.pipelines


def test_without_an_image_nothing_is_sent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLATE_PIPELINE_IMAGE", raising=False)
    result = CliRunner().invoke(
        app,
        [
            "schedule",
            "--config",
            "shop.yaml",
            "--host",
            server.url,
            "--store",
            "gs://b/s",
            "--cron",
            "0 3 * * *",
        ],
    )
    assert isinstance(result.exception, ConfigError)
    assert "none named, and the placeholder cannot be pulled" in str(result.exception)
