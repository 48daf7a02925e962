"""Processes of a stack: started, started again, ended, whatever they do."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving.stack.child import Child, Spec

SLEEPS = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); " + (
    "time.sleep(600)"
)
Start = Callable[..., Child]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def start(tmp_path: Path, said: list[str]) -> Iterator[Start]:
    made: list[Child] = []

    def started(code: str, **spec: object) -> Child:
        log = tmp_path / "logs" / "one.log"
        child = Child(
            Spec("one", [sys.executable, "-c", code], log, **spec),  # type: ignore[arg-type]
            {"GREETING": "hello"},
            said.append,
        )
        child.wanted = True
        made.append(child)
        return child

    yield started
    for child in made:
        child.kill()


def looked(child: Child, condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        child.look()
        time.sleep(0.01)


def test_what_is_wanted_runs_and_what_is_not_ends(start: Start, said: list[str]) -> None:
    child = start(SLEEPS)
    child.look()
    first = child.pid
    assert child.running
    child.look()
    assert child.pid == first
    child.wanted = False
    looked(child, lambda: child.gone)
    assert said == []
    child.wanted = True
    child.look()
    assert child.running


def test_its_log_has_all_it_says_and_it_has_the_environment(start: Start) -> None:
    child = start("import os, sys; print(os.environ['GREETING']); print('trouble', file=sys.stderr)")
    child.look()
    looked(child, lambda: child.restarts > 0)
    assert child.spec.log.read_text().splitlines()[:2] == ["hello", "trouble"]


def test_a_killed_one_comes_back_at_once_and_that_is_said(start: Start, said: list[str]) -> None:
    child = start(SLEEPS)
    child.look()
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    looked(child, lambda: child.pid not in (None, first))
    assert said == [
        f"one was ended by signal 9; it is started again now, its log is {child.spec.log}",
    ]


def test_one_that_ends_again_and_again_waits_longer_each_time(
    start: Start, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.stack.child._FIRST_WAIT", 0.01)
    child = start("raise SystemExit(3)")
    looked(child, lambda: child.failures >= 4)
    waits = [line.partition("started again ")[2].partition(",")[0] for line in said[:4]]
    assert waits == ["now", "in 0.01 s", "in 0.02 s", "in 0.04 s"]
    assert said[0].startswith("one ended with status 3;")


def test_one_that_settled_begins_anew(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.stack.child._SETTLED_SECONDS", 0.0)
    child = start("raise SystemExit(3)")
    looked(child, lambda: child.restarts >= 3)
    assert child.failures == 1


def test_a_stubborn_one_is_killed_after_a_while(start: Start) -> None:
    child = start(STUBBORN, patience_s=0.2)
    child.look()
    looked(child, lambda: "on" in child.spec.log.read_text())
    child.wanted = False
    looked(child, lambda: child.gone)


def test_all_that_it_started_ends_with_it(start: Start) -> None:
    nested = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', '{SLEEPS}']); "
    child = start(nested + "print(p.pid, flush=True); p.wait()")
    child.look()
    looked(child, lambda: child.spec.log.read_text().strip().isdigit())
    grandchild = int(child.spec.log.read_text())
    child.kill()
    ends = time.monotonic() + 30
    while (Path(f"/proc/{grandchild}") / "stat").exists():
        state = (Path(f"/proc/{grandchild}") / "stat").read_text().rpartition(")")[2].split()[0]
        if state == "Z":  # Its parent is gone and whoever took it over has not looked yet.
            break
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_program_that_is_not_there_is_said(tmp_path: Path, said: list[str]) -> None:
    child = Child(Spec("one", [str(tmp_path / "no")], tmp_path / "one.log"), {}, said.append)
    child.wanted = True
    child.look()
    assert not child.running
    assert "cannot be started" in said[0]


def test_ready_is_what_it_says_of_itself(start: Start) -> None:
    answers = [False]
    child = start(SLEEPS, ready=lambda: answers[0])
    assert not child.ready()
    child.look()
    assert not child.ready()
    answers[0] = True
    assert child.ready()
