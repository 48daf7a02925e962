"""``slate run`` from the outside, over stand-in steps."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pipelines.results import StepError
from slate.cli.main import app
from slate.errors import ConfigError, DataError, GateError
from tests.pipelines.standin import Standin, alive

CONFIG = """
dataset:
  name: shop
  interactions:
    path: clicks.csv
    columns: {user_id: who, item_id: what, timestamp: at}
"""


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Standin:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "shop.yaml").write_text(CONFIG)
    (tmp_path / "clicks.csv").write_text("who,what,at\nann,pen,1\nbob,ink,2\n")
    made = Standin(tmp_path / "standin", monkeypatch)
    # The release of the stand-in is in no store: `stable` stays empty.
    made.behave(gate={"returns": "unchanged"})
    return made


def slate_run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["run", "--config", "shop.yaml", *arguments])


def machine(result: Result) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed


def test_the_json_answer_says_what_became_of_every_step(standin: Standin, tmp_path: Path) -> None:
    result = slate_run("--json")
    assert result.exit_code == 0, result.stderr
    answer = machine(result)
    assert (answer["status"], answer["verdict"], answer["release_id"]) == ("succeeded", "unchanged", None)
    assert {step["step"]: step["outcome"] for step in answer["steps"]}["split"] == "done"
    assert Path(answer["report"]).read_text() == "<p>evaluate</p>"
    assert answer["metrics"] == {"rows": 3, "share": 0.25}
    assert (tmp_path / ".slate" / "runs" / f"{answer['run_id']}.json").exists(), "the outcome is in the store"
    assert "split: done" in result.stderr, "progress goes to the other stream"

    again = machine(slate_run("--json"))
    outcomes = {step["step"]: step["outcome"] for step in again["steps"]}
    assert {outcomes[s] for s in ("ingest", "validate", "train_two_tower", "train_ranker", "evaluate")} == {
        "reused"
    }
    assert again["run_id"] != answer["run_id"]


def test_changed_data_runs_everything_again_and_settings_only_what_reads_them(
    standin: Standin, tmp_path: Path
) -> None:
    slate_run("--json")
    assert standin.ran
    assert slate_run("--json", "--set", "ranking.epochs=3").exit_code == 0
    assert standin.ran == ["open_run", "drift", "train_ranker", "evaluate", "gate", "track"], (
        "comparing with the live release is never reused"
    )
    with (tmp_path / "clicks.csv").open("a") as file:
        file.write("cat,cup,3\n")
    slate_run("--json")
    assert standin.ran[:2] == ["open_run", "ingest"]


def test_a_refusal_is_exit_3_and_a_benchmark_is_not(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slate.cli.summary.print_summary", lambda *_: None)
    standin.behave(gate={"returns": "refused", "verdict": ["protocol", "slices"]})
    refused = slate_run()
    assert isinstance(refused.exception, GateError)
    assert refused.exception.exit_code == 3
    assert "refused by protocol, slices" in str(refused.exception)
    standin.behave(gate={"returns": "refused", "verdict": ["protocol"]})
    assert isinstance(slate_run().exception, GateError), "the run did not ask for a benchmark"
    standin.behave(gate={"returns": "refused", "verdict": ["protocol", "slices"]})
    measured = slate_run("--set", "split.protocol=leave_last_out")
    assert measured.exit_code == 0
    assert "leave_last_out is a benchmark protocol" in measured.output


def test_a_failed_step_shows_its_own_message_its_log_and_its_exit_status(standin: Standin) -> None:
    standin.behave(validate={"raise": "DataError"})
    result = slate_run()
    assert isinstance(result.exception, StepError)
    assert result.exception.exit_code == DataError.exit_code
    assert str(result.exception).startswith("validate: validate cannot go on\nrow 7: bad; fix it\n  log: ")
    assert "act(" in str(result.exception.__cause__), "--debug shows the traceback of the step's own process"
    assert "validate: failed" in result.output


def test_a_pipeline_that_does_not_exist_is_refused_before_anything_runs(standin: Standin) -> None:
    result = slate_run("--pipeline", "trainig")
    assert isinstance(result.exception, ConfigError)
    assert standin.ran == []


_CHILD = """
import os, sys
from slate.cli.main import main
os.environ["PYTHONPATH"] = os.environ["STANDIN_PATH"]
sys.argv[:] = ["slate", "run", "--config", "shop.yaml"]
main()
"""


def test_control_c_ends_the_step_records_it_and_exits_130(standin: Standin, tmp_path: Path) -> None:
    standin.behave(split={"sleep": 60})
    environment = {**os.environ, "PYTHONPATH": "", "STANDIN_PATH": os.environ["PYTHONPATH"]}
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD], env=environment, stderr=subprocess.PIPE, text=True
    ) as runner:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and "split" not in [c["step"] for c in standin.calls()]:
            time.sleep(0.02)
        pid = int(str(standin.calls()[-1]["pid"]))
        runner.send_signal(signal.SIGINT)
        _, said = runner.communicate(timeout=30)
    assert runner.returncode == 130
    assert "the next run goes on from them" in said
    assert "Traceback" not in said
    (record,) = (tmp_path / ".slate" / "runs").glob("*.json")
    assert json.loads(record.read_text())["state"] == "CANCELLED"
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(pid)
