"""``slate tune`` as a user has it: a process that is killed, the same command again, and what it wrote."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from rich.console import Console
from typer.testing import CliRunner

from slate.cli.main import app
from slate.cli.tune_progress import TuneProgress
from slate.config import load_config
from slate.errors import ConfigError
from slate.tuning.trial import State, Trial

#: The second rate diverges; the configuration itself is dim 16 and rate 0.01.
SPACE = (
    "tuning.space={retrieval.dim: {choices: [8, 16]}, retrieval.learning_rate: {choices: [0.01, 1.0e+30]}}"
)


class Tuned(NamedTuple):
    """A search that was killed after its first trial, then finished by the same command."""

    folder: Path
    answer: dict[str, Any]
    printed_before_the_kill: list[str]
    seconds_that_workers_outlived_it: float


def arguments(folder: Path, config: Path) -> list[str]:
    options = {"--config": config, "--workdir": folder / "work", "--out": folder / "best.yaml"}
    settings = ("retrieval.epochs=2", SPACE, "tuning.pruner=none")
    named = [str(part) for pair in options.items() for part in pair]
    return ["tune", *named, *(part for s in settings for part in ("--set", s)), "--sampler", "grid"]


@pytest.fixture(scope="module")
def tuned(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    folder = tmp_path_factory.mktemp("tuned")
    command = arguments(folder, tiny.folders["raw"].parent / "tiny.yaml")
    process = subprocess.Popen(
        [sys.executable, "-W", "error::UserWarning", "-m", "slate.cli.main", *command],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("trial 0"):
            # Half a second into the second trial.
            time.sleep(0.5)
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    killed = time.monotonic()
    while _alive(process.pid) and time.monotonic() - killed < 30:
        time.sleep(0.05)
    outlived = time.monotonic() - killed
    result = CliRunner().invoke(app, [*command, "--json"])
    assert result.exit_code == 0, result.exception
    return Tuned(folder, json.loads(result.stdout), lines, outlived)


def _alive(session: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def test_an_interrupt_ends_it_cleanly(tiny: Any, tmp_path: Path) -> None:
    command = arguments(tmp_path, tiny.folders["raw"].parent / "tiny.yaml")
    process = subprocess.Popen(
        [sys.executable, "-m", "slate.cli.main", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while len(_alive(process.pid)) < 2 or not list(tmp_path.glob("work/tuning/studies/*/study.db")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # To the whole group, as a terminal sends it.
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, "interrupted" in said, "Traceback" in said) == (130, True, False), said
    # Whoever held the pipe closed it; the kernel may still be taking down the last of them.
    deadline = time.monotonic() + 10
    while left := _alive(process.pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_a_killed_search_goes_on_where_it_was(tuned: Tuned) -> None:
    assert "trial 0: finished" in tuned.printed_before_the_kill[-1]
    assert tuned.seconds_that_workers_outlived_it < 30
    trials = tuned.answer["trials"]
    assert trials[0]["state"] == "finished"
    assert f"{trials[0]['value']:.4f}" in tuned.printed_before_the_kill[-1]
    assert (trials[1]["state"], trials[1]["reason"]) == ("interrupted", "its run was killed")
    assert trials[2]["values"] == trials[1]["values"]


def test_a_grid_is_tried_once_and_what_diverges_is_recorded(tuned: Tuned) -> None:
    counted = [trial for trial in tuned.answer["trials"] if trial["state"] != "interrupted"]
    tried = [(t["values"]["retrieval.dim"], t["values"]["retrieval.learning_rate"]) for t in counted]
    assert sorted(tried) == [(8, 0.01), (8, 1e30), (16, 0.01), (16, 1e30)]
    assert tried[0] == (16, 0.01)
    for trial in counted:
        diverges = trial["values"]["retrieval.learning_rate"] == 1e30
        assert trial["state"] == ("failed" if diverges else "finished")
        assert ("ModelError: two-tower: the loss became" in trial["reason"]) == diverges
        assert len(trial["epochs"]) == (0 if diverges else 2)
        if not diverges:
            assert trial["value"] == max(trial["epochs"])


def test_the_best_configuration_is_one_that_a_run_takes(tuned: Tuned, tiny: Any, tmp_path: Path) -> None:
    from slate.steps.train_two_tower import train_two_tower

    best = tuned.answer["best"]
    finished = [t["value"] for t in tuned.answer["trials"] if t["state"] == "finished"]
    assert best["value"] == max(finished)
    config = load_config(tuned.folder / "best.yaml")
    assert config.retrieval.dim == best["values"]["retrieval.dim"]
    assert config.retrieval.epochs == 2
    assert Path(str(config.dataset.interactions.path)).resolve() == tiny.folders["raw"].parent / "events.csv"
    # The same data, settings and seed as the trial: the same figure.
    measured = train_two_tower(
        config.section("retrieval"), config.section("dataset"), tiny.folders["splits"], tmp_path / "tower"
    )
    assert measured["valid_ndcg_10"] == pytest.approx(best["value"], abs=0.02)


def test_the_page_and_the_logs_lie_beside_the_study(tuned: Tuned) -> None:
    page = Path(tuned.answer["report"])
    assert page.parent == Path(tuned.answer["folder"])
    assert "<svg" in page.read_text(encoding="utf-8")
    assert "epoch 2/2" in (page.parent / "logs" / "trial-0000.log").read_text(encoding="utf-8")
    assert not list((tuned.folder / "work" / "tuning" / "data").glob(".making*"))


def test_a_finished_search_is_only_told_again(tuned: Tuned, tiny: Any) -> None:
    command = arguments(tuned.folder, tiny.folders["raw"].parent / "tiny.yaml")
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.exception
    assert f"{tuned.answer['best']['value']:.4f}" in shown.output
    assert "2 finished, 2 failed, 1 interrupted" in shown.output
    assert "slate run --config" in shown.output
    again = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert again == tuned.answer


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--sampler", "annealing"], ["tuning.sampler", "annealing"]),
        (
            ["--set", "tuning.space.retrieval.dim={choices: [16, 17]}", "--set", "retrieval.heads=2"],
            ["dim=17"],
        ),
        (["--config", "nowhere.yaml"], ["nowhere.yaml", "--config"]),
    ],
)
def test_what_cannot_be_searched_is_said_before_anything_is_read(
    wrong: list[str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["tune", *wrong])
    assert isinstance(result.exception, ConfigError)
    for word in words:
        assert word in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_a_terminal_sees_trials_as_they_run() -> None:
    def trial(number: int, state: State, value: float | None, epochs: tuple[float, ...]) -> Trial:
        return Trial(number, state, {"retrieval.dim": 8}, value, epochs, 2.0, "", number == 0)

    console = Console(file=io.StringIO(), force_terminal=True, width=110)
    with TuneProgress(3, console) as progress:
        progress.event(trial(0, State.FINISHED, 0.25, (0.2, 0.25)))
        progress.event(trial(1, State.FINISHED, 0.5, (0.5,)))
        progress.event(trial(2, State.RUNNING, None, (0.125,)))
        plain = Console(file=io.StringIO(), width=110)
        plain.print(progress.view())
    shown = plain.file.getvalue()  # type: ignore[attr-defined]
    assert "0.1250" in shown
    assert "2 finished, 1 running, 3 wanted" in shown
    assert "best 0.5000 (trial 1); configuration as given 0.2500" in shown
