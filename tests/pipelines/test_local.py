"""The runner, over the real training pipeline with stand-in steps (see standin.py)."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.local import run_pipeline, step_names
from pipelines.results import Outcome, RunResult, StepEvent
from pipelines.training import training
from slate.errors import ConflictError, DataError
from tests.pipelines.standin import Standin, alive

SECTIONS = (
    "dataset", "split", "retrieval", "index", "ranking", "evaluation", "gate", "recommend", "rollout",
    "drift", "tracking",
)  # fmt: skip
STEPS = (
    "open_run",
    "ingest",
    "collect",
    "validate",
    "drift",
    "split",
    "train_two_tower",
    "build_index",
    "train_ranker",
    "evaluate",
    "gate",
    "track",
    "push_release",
    "register_release",
    "start_rollout",
    "record_outcome",
)
BEFORE_EVALUATION = list(STEPS[1:9])
DECIDE = ["gate", "track"]
PUSH = ["push_release", "register_release"]


@pytest.fixture
def run(tmp_path: Path, standin: Standin) -> Callable[..., RunResult]:
    """Run the training pipeline in one work folder."""

    def go(
        run_id: str, *, caching: bool = True, events: list[StepEvent] | None = None, **changed: Any
    ) -> RunResult:
        return run_pipeline(
            training,
            {**parameters(tmp_path, run_id), **changed},
            run_id=run_id,
            workdir=tmp_path / "work",
            caching=caching,
            listener=(events if events is not None else []).append,
        )

    return go


def parameters(folder: Path, run_id: str) -> dict[str, Any]:
    return {
        **{name: {"section": name, "whole": 7} for name in SECTIONS},
        "store": str(folder / "store"),
        "champion": "",
        "data_fingerprint": "data-1",
        "log": "",
        "events_fingerprint": "",
        "code_fingerprint": "code-1",
        "run_id": run_id,
        "checkpoints": str(folder / "checkpoints"),
        "cache": str(folder / "downloads"),
        "rollout_requested": False,
    }


def outcomes(result: RunResult) -> dict[str, str]:
    return {step.step: str(step.outcome) for step in result.steps}


def recorded(folder: Path, run_id: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "store" / "runs" / f"{run_id}.json").read_text())
    return record


def test_the_steps_are_those_of_the_design_in_order() -> None:
    assert step_names(training) == STEPS


def test_a_run_hands_over_artefacts_metrics_logs_report_and_release(
    run: Callable[..., RunResult], standin: Standin, tmp_path: Path
) -> None:
    events: list[StepEvent] = []
    result = run("one", events=events)
    assert standin.ran == list(STEPS[:14])
    assert (result.status, result.verdict_status, result.release_id, result.rollout_id) == (
        "succeeded",
        "passed",
        "r-1",
        None,
    )
    candidate = result.artefact("evaluate", "candidate")
    assert candidate is not None
    assert (candidate / "made_by.txt").read_text() == "evaluate"
    assert result.step("split").metrics == {"rows": 3, "share": 0.25}
    log = result.step("train_two_tower").log
    assert log == tmp_path / "work" / "runs" / "one" / "logs" / "train_two_tower.log"
    assert "train_two_tower at work" in log.read_text()
    assert result.report is not None
    assert result.report.read_text() == "<p>evaluate</p>"
    assert recorded(tmp_path, "one")["state"] == "SUCCEEDED"
    split = [(e.outcome, e.line) for e in events if e.step == "split"]
    assert split[0] == (Outcome.RUNNING, None)
    assert (Outcome.RUNNING, "split at work") in split
    assert split[-1] == (Outcome.DONE, None)
    assert outcomes(result)["start_rollout"] == "skipped"


def test_every_section_reaches_its_step_with_the_names_the_library_takes(
    run: Callable[..., RunResult], standin: Standin
) -> None:
    run("one", rollout_requested=True)
    said = {call["step"]: call["arguments"] for call in standin.calls()}
    for step, section in (
        ("ingest", "dataset"),
        ("drift", "drift"),
        ("split", "split"),
        ("train_two_tower", "retrieval"),
        ("build_index", "index"),
        ("train_ranker", "ranking"),
        ("gate", "gate"),
        ("start_rollout", "rollout"),
    ):
        assert f"'section': '{section}'" in said[step], step
    for section in SECTIONS[:-2]:
        assert f"'{section}': {{'" in said["evaluate"], section
    for section in SECTIONS[:-1]:
        assert f"'{section}': {{'" in said["open_run"], section
    for step in ("open_run", "track", "register_release"):
        assert "'section': 'tracking'" in said[step], step
    assert "'code-1'" in said["push_release"]
    assert "'r-1'" in said["start_rollout"]


def test_a_second_run_reuses_all_that_can_be_reused(run: Callable[..., RunResult], standin: Standin) -> None:
    first = run("one")
    assert standin.ran
    result = run("two")
    assert standin.ran == ["open_run", "drift", *DECIDE, *PUSH]
    assert set(outcomes(result).values()) == {"reused", "done", "skipped"}
    assert result.artefact("split", "splits") == first.artefact("split", "splits")
    assert result.report is not None
    # A new champion is judged anew, on the same models.
    run("three", champion="r-1")
    assert standin.ran == ["open_run", "drift", "evaluate", *DECIDE, *PUSH]


def test_what_changed_runs_again_and_no_more(run: Callable[..., RunResult], standin: Standin) -> None:
    changed: dict[str, Any] = {}
    run("first")
    assert standin.ran
    for key, value, again in (
        ("index", {"section": "index", "whole": 8}, ["drift", "build_index", "train_ranker", "evaluate"]),
        ("gate", {"section": "gate", "whole": 8}, ["drift", "evaluate"]),
        ("data_fingerprint", "data-2", [*BEFORE_EVALUATION, "evaluate"]),
        ("events_fingerprint", "events-2", [*BEFORE_EVALUATION[1:], "evaluate"]),
        ("code_fingerprint", "code-2", [*BEFORE_EVALUATION, "evaluate"]),
    ):
        changed[key] = value
        run(key, **changed)
        assert standin.ran == ["open_run", *again, *DECIDE, *PUSH], key


def test_without_caching_every_step_runs(run: Callable[..., RunResult], standin: Standin) -> None:
    run("one")
    assert standin.ran
    run("two", caching=False)
    assert standin.ran == list(STEPS[:14])


def test_only_a_passed_gate_pushes_and_only_a_request_starts_a_rollout(
    run: Callable[..., RunResult], standin: Standin
) -> None:
    run("first")
    assert standin.ran
    for number, (verdict, asked, ran) in enumerate(
        (
            ("refused", True, []),
            ("unchanged", True, []),
            ("passed", False, PUSH),
            ("passed", True, [*PUSH, "start_rollout"]),
        )
    ):
        standin.behave(gate={"returns": verdict})
        result = run(f"run-{number}", rollout_requested=asked)
        assert standin.ran == ["open_run", "drift", *DECIDE, *ran]
        assert (result.status, result.verdict_status) == ("succeeded", verdict)
        assert (result.release_id is None) == (verdict != "passed")


def test_a_failed_step_says_why_stops_what_needs_it_and_is_recorded(
    run: Callable[..., RunResult], standin: Standin, tmp_path: Path
) -> None:
    standin.behave(validate={"raise": "DataError"})
    result = run("one")
    assert standin.ran == list(STEPS[:4]), "an error that comes again is not tried again"
    assert result.failure is not None
    assert (result.failure.step, result.failure.error) == ("validate", "DataError")
    assert result.failure.message == "validate cannot go on\nrow 7: bad; fix it"
    assert result.failure.exit_code == DataError.exit_code
    assert "Traceback" in result.failure.traceback
    assert "DataError" in result.failure.log.read_text()
    assert result.report is not None
    assert result.report.read_text() == "<p>validate</p>"
    assert outcomes(result)["validate"] == "failed"
    assert {outcomes(result)[step] for step in STEPS[4:15]} == {"skipped"}
    assert recorded(tmp_path, "one")["state"] == "FAILED"

    standin.behave()
    assert run("two").status == "succeeded"
    assert standin.ran == ["open_run", *STEPS[3:14]], "what was finished before the failure is reused"


def test_a_passing_trouble_is_tried_again(run: Callable[..., RunResult], standin: Standin) -> None:
    standin.behave(ingest={"once": "StorageError"})
    result = run("one")
    assert result.status == "succeeded"
    assert result.failure is None
    assert result.step("ingest").attempts == 2
    log = result.step("ingest").log
    assert log is not None
    assert log.read_text().count("--- attempt") == 2


def test_a_killed_process_is_named_as_such(run: Callable[..., RunResult], standin: Standin) -> None:
    standin.behave(split={"die": int(signal.SIGKILL)})
    result = run("one")
    assert result.failure is not None
    assert "killed (signal 9)" in result.failure.message
    assert result.step("split").attempts == 1, "memory would be wanting again"


def test_two_runs_in_one_folder_are_refused(run: Callable[..., RunResult], tmp_path: Path) -> None:
    import fcntl

    (tmp_path / "work" / "pipelines").mkdir(parents=True)
    with (tmp_path / "work" / "pipelines" / "lock").open("w") as lock:
        lock.write("4242")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConflictError, match="process 4242 is running"):
            run("one")
    assert run("two").status == "succeeded"


def test_leavings_of_dead_steps_go_and_finished_ones_stay(
    run: Callable[..., RunResult], tmp_path: Path
) -> None:
    first = run("one")
    half = tmp_path / "work" / "pipelines" / "artefacts" / "training-dead" / "split"
    half.mkdir(parents=True)
    (half / "splits").write_text("half")
    (tmp_path / "work" / "pipelines" / "scratch").mkdir(exist_ok=True)
    (tmp_path / "work" / "pipelines" / "scratch" / "left").write_text("")
    run("two")
    assert not half.parent.exists()
    assert not (tmp_path / "work" / "pipelines" / "scratch" / "left").exists()
    kept = first.artefact("train_ranker", "ranker")
    assert kept is not None
    assert (kept / "made_by.txt").exists()


_CHILD = """
import json, os, sys
from pathlib import Path
from pipelines.local import run_pipeline
from pipelines.training import training
os.environ["PYTHONPATH"] = os.environ["STANDIN_PATH"]
given = json.loads(sys.argv[1])
run_pipeline(training, given, run_id=given["run_id"], workdir=Path(sys.argv[2]))
"""


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, -2)])
def test_killed_in_the_middle_of_a_step_the_next_run_goes_on_from_the_finished_ones(
    run: Callable[..., RunResult],
    standin: Standin,
    tmp_path: Path,
    sent: signal.Signals,
    code: int,
) -> None:
    standin.behave(train_two_tower={"sleep": 60})
    # The stand-in is for the steps; the runner itself is the real one.
    environment = {**os.environ, "PYTHONPATH": "", "STANDIN_PATH": os.environ["PYTHONPATH"]}
    command = [sys.executable, "-c", _CHILD, json.dumps(parameters(tmp_path, "one")), str(tmp_path / "work")]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as runner:
        pid = _wait_for(standin, "train_two_tower")
        runner.send_signal(sent)
        _, trouble = runner.communicate(timeout=30)
    assert runner.returncode == code
    assert sent is signal.SIGKILL or b"KeyboardInterrupt" in trouble
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(pid), "the step's process outlived its run"

    assert standin.ran == list(STEPS[:7])
    standin.behave()
    result = run("two")
    assert result.status == "succeeded"
    assert standin.ran == ["open_run", "drift", *STEPS[6:14]]


def _wait_for(standin: Standin, step: str) -> int:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for call in standin.calls():
            if call["step"] == step:
                return int(call["pid"])
        time.sleep(0.02)
    raise AssertionError(f"{step} never started")


def test_a_file_of_the_working_directory_is_never_taken_for_a_package(
    run: Callable[..., RunResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "json.py").write_text("raise RuntimeError('not the one')\n")
    monkeypatch.chdir(elsewhere)
    assert run("one").status == "succeeded"


def test_the_global_state_of_kfp_is_put_back(run: Callable[..., RunResult]) -> None:
    from kfp.local import subprocess_task_handler
    from kfp.local.config import LocalExecutionConfig
    from kfp.local.orchestrator import task_executor

    before = (task_executor.execute_single_task, subprocess_task_handler.run_local_subprocess)
    run("one")
    assert LocalExecutionConfig.instance is None
    assert (task_executor.execute_single_task, subprocess_task_handler.run_local_subprocess) == before
