from pathlib import Path
from typing import Any

import pytest
from kfp.local import subprocess_task_handler
from kfp.local.orchestrator import task_executor

from pipelines.observe import Observer, observed, step_name
from pipelines.results import StepEvent
from slate.errors import ConfigError


def an_observer(folder: Path, events: list[StepEvent]) -> Observer:
    return Observer(logs=folder, scratch=folder / "scratch", emit=events.append)


def test_steps_are_called_as_in_python() -> None:
    assert step_name("train-two-tower") == "train_two_tower"


def test_a_kfp_of_another_shape_is_refused_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_local_subprocess(command: list[str]) -> int:
        return len(command)

    monkeypatch.setattr(subprocess_task_handler, "run_local_subprocess", run_local_subprocess)
    before = task_executor.execute_single_task
    with (
        pytest.raises(ConfigError, match="install the locked kfp version"),
        observed(an_observer(tmp_path, [])),
    ):
        pass
    assert task_executor.execute_single_task is before


def test_the_talk_of_the_machinery_is_kept_but_not_shown(tmp_path: Path) -> None:
    events: list[StepEvent] = []
    observer = an_observer(tmp_path, events)
    machinery = [
        "[KFP Executor 2026-11-21 05:08:13,279 INFO]: Wrote executor output file",
        "2026-11-21 05:08:45.898761: E external/local_xla/xla/cuda.cc:51] failed call to cuInit",
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
        "I0000 00:00:1763701725.898 5 device.cc:1] Created device",
        "",
    ]
    said = ["epoch 1: NDCG@10 0.12", "2026-11-21 is a fine day", "Ich bin's"]
    script = "; ".join(f"print({line!r})" for line in [*machinery, *said])
    with (tmp_path / "log").open("w") as log:
        assert observer._run(["python3", "-c", script], {}, log) == 0
    assert [event.line for event in events] == said
    assert (tmp_path / "log").read_text().splitlines() == [*machinery, *said]


def test_names_of_scratch_folders_go_with_the_attempt(tmp_path: Path) -> None:
    observer = an_observer(tmp_path, [])
    observer._step = "split"
    command = ["sh", "-c", 'touch "$(mktemp -d)/left"; echo "$TMPDIR"', "--executor_input", '{"outputs": {}}']
    assert observer.process(command) == 0
    (place,) = (line for line in (tmp_path / "split.log").read_text().splitlines() if line.startswith("/"))
    assert Path(place).parent == tmp_path / "scratch"
    assert not Path(place).exists()


def test_an_interrupted_reader_ends_the_process(tmp_path: Path) -> None:
    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    observer = Observer(logs=tmp_path, scratch=tmp_path / "scratch", emit=interrupt)
    with (tmp_path / "log").open("w") as log, pytest.raises(KeyboardInterrupt):
        observer._run(["sh", "-c", "echo first; exec sleep 60"], {}, log)
