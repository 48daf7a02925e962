"""The whole incremental pipeline with the real steps, killed once on its way."""

import json
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.results import StepError
from slate.cli.main import app
from slate.steps.champion import open_champion
from tests.steps.test_incremental import new_events, write_log

UPDATED = ("collect", "validate", "open_parent", "split_since", "update_two_tower", "build_index")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_release_is_brought_up_to_date_from_the_log_though_the_run_was_killed(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(tiny.store, "store")
    live = open_champion("store", tiny.release_id)
    assert live is not None
    write_log("store", new_events(datetime.fromisoformat(live.manifest.dataset.watermark)))
    recipe = {"epochs": 12, "learning_rate": 0.01, "replay": 0.5, "ranking_epochs": 2}
    changed = {
        "incremental": recipe,
        "split": {"unseen_users": 0.1},
        "gate": {"concentration_margin": 1.0},
        "tracking": {"enabled": False},
    }
    Path("tiny.yaml").write_text(json.dumps(tiny.sections(**changed)), encoding="utf-8")
    arguments = ["run", "--pipeline", "incremental", "--config", "tiny.yaml", "--store", "store"]

    killed = killed_during("update_ranker", arguments)
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.stdout, result.exception
    answer = json.loads(result.stdout)
    assert answer["failure"] is None, answer["failure"]
    assert answer["run_id"] == killed, "the same work goes on under its own id"
    outcomes = {step["step"]: step["outcome"] for step in answer["steps"]}
    assert {outcomes[step] for step in UPDATED} == {"reused"}
    assert {outcomes[step] for step in ("update_ranker", "evaluate", "push_release")} == {"done"}
    assert answer["verdict"] == "passed", answer["failed_checks"]
    pushed = open_champion("store", answer["release_id"])
    assert pushed is not None
    assert pushed.manifest.parent == tiny.release_id
    assert pushed.manifest.config["incremental"]["epochs"] == recipe["epochs"]

    promoted = CliRunner().invoke(app, ["releases", "promote", answer["release_id"], "--store", "store"])
    assert promoted.exit_code == 0, promoted.output
    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, StepError)
    assert again.exception.failure.step == "split_since"
    assert "nothing here is later; run again when there is more" in str(again.exception)


def killed_during(step: str, arguments: list[str]) -> str:
    """Start the command, kill it with SIGKILL once a step is at work; the id of its run."""
    command = [sys.executable, "-m", "slate.cli.main", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as runner:
        deadline = time.monotonic() + 900
        while not (logs := list(Path(".slate/runs").glob(f"*/logs/{step}.log"))):
            assert runner.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        runner.kill()
    return logs[0].parents[1].name
