"""The whole job with the real steps, on a shop small enough for a test."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from slate.cli.main import app

CONFIG = """
dataset:
  name: shop
  interactions:
    path: clicks.csv
    columns: {user_id: who, item_id: what, timestamp: at, value: stars}
retrieval:
  {epochs: 12, patience: 12, dim: 16, blocks: 1, heads: 1, history: 8, batch_size: 16, learning_rate: 0.02}
ranking: {epochs: 2, dim: 4, hidden: [8], history: 5, candidates: 20, negatives: 4}
index: {k: 10, sample: 20}
evaluation: {ks: [5], k: 5, bootstrap: 100}
recommend: {candidates: 20, k: 5, golden: 2}
gate: {min_users: 20}
"""
ITEMS, USERS, VISITS = 40, 150, 16
TRAINING = ("ingest", "validate", "split", "train_two_tower", "build_index", "train_ranker")


@pytest.fixture
def _shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody walks along the shelves, so the next item follows from the last and not from popularity."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    rng = random.Random(3)
    rows = []
    for user in range(USERS):
        shelf, at = rng.randrange(ITEMS), 1_700_000_000 + rng.randrange(30 * 86_400)
        for _ in range(VISITS):
            shelf = (shelf + 1 if rng.random() < 0.9 else rng.randrange(ITEMS)) % ITEMS
            at += rng.randrange(600, 86_400)
            rows.append((at, f"user {user}", f"item-{shelf}", rng.randint(1, 5)))
    lines = [f"{who},{what},{at},{stars}\n" for at, who, what, stars in sorted(rows)]
    (tmp_path / "clicks.csv").write_text("who,what,at,stars\n" + "".join(lines))
    (tmp_path / "shop.yaml").write_text(CONFIG)


def slate_run(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["run", "--config", "shop.yaml", "--json", *arguments])
    assert result.stdout, result.exception
    answer: dict[str, Any] = json.loads(result.stdout)
    assert not answer["failure"], answer["failure"]
    return answer


def killed_during(step: str) -> str:
    """Start the run, kill it with SIGKILL once a step is at work; its id."""
    command = [sys.executable, "-m", "slate.cli.main", "run", "--config", "shop.yaml"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as runner:
        deadline = time.monotonic() + 300
        while not (logs := list(Path(".slate/runs").glob(f"*/logs/{step}.log"))):
            assert runner.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        runner.kill()
    return logs[0].parents[1].name


def recorded() -> list[dict[str, Any]]:
    """What ``slate runs`` knows, newest first."""
    result = CliRunner().invoke(app, ["runs", "list", "--json"])
    assert result.exit_code == 0, result.output
    runs: list[dict[str, Any]] = json.loads(result.stdout)
    return runs


def epochs_of(tracked: str) -> list[int]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{Path('.slate/mlflow.db').resolve()}")
    return [point.step for point in client.get_metric_history(tracked, "two_tower/loss")]


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("_shop")
def test_a_release_is_made_once_and_the_second_run_changes_nothing(tmp_path: Path) -> None:
    killed = killed_during("train_ranker")
    assert [(run["run_id"], run["state"]) for run in recorded()] == [(killed, "interrupted")]
    first = slate_run()
    assert first["run_id"] == killed, "the same work goes on under its own id"
    assert first["unrecorded"] == []
    outcomes = {step["step"]: step["outcome"] for step in first["steps"]}
    assert first["verdict"] == "passed", first["failed_checks"]
    assert {outcomes[step] for step in TRAINING[:-1]} == {"reused"}
    assert {outcomes[step] for step in ("train_ranker", "evaluate", "gate", "push_release")} == {"done"}
    (run,) = recorded()
    assert (run["state"], run["verdict"], run["release_id"]) == ("finished", "passed", first["release_id"])
    assert run["params"]["ranking.epochs"] == "2"
    assert epochs_of(run["tracked"]) == list(range(1, len(epochs_of(run["tracked"])) + 1))
    store = tmp_path / ".slate"
    assert (store / "releases" / first["release_id"] / "manifest.json").is_file()
    assert json.loads((store / "channels" / "stable.json").read_text())["release_id"] == first["release_id"]
    assert json.loads((store / "runs" / f"{first['run_id']}.json").read_text())["state"] == "SUCCEEDED"
    assert "<html" in Path(first["report"]).read_text(encoding="utf-8")
    assert all(isinstance(value, int | float) for value in first["metrics"].values())

    second = slate_run()
    outcomes = {step["step"]: step["outcome"] for step in second["steps"]}
    assert {outcomes[step] for step in TRAINING} == {"reused"}
    assert (outcomes["evaluate"], outcomes["gate"]) == ("done", "done"), "there is a champion now"
    assert (second["verdict"], second["release_id"]) == ("unchanged", None)
    assert [path.name for path in (store / "releases").iterdir()] == [first["release_id"]]

    assert second["run_id"] != first["run_id"]
    assert [run["verdict"] for run in recorded()] == ["unchanged", "passed"]
    compared = CliRunner().invoke(app, ["runs", "compare", "--all", "latest", first["run_id"]])
    assert compared.exit_code == 0
    assert "the configurations are the same" in compared.stdout
    assert "popularity/test/ndcg_at_5" in compared.stdout
