import signal
import subprocess
import sys
import time
from pathlib import Path

import pipelines.guard
from tests.pipelines.standin import alive

GUARD = [sys.executable, "-I", "-S", pipelines.guard.__file__]


def start(*command: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*GUARD, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_the_exit_status_and_the_output_are_those_of_the_command() -> None:
    with start("sh", "-c", "echo said; exit 7") as guard:
        assert guard.stdout is not None
        assert guard.stdout.read() == "said\n"
        assert guard.wait(timeout=10) == 7


def test_a_command_ended_by_a_signal_is_128_more() -> None:
    with start("sh", "-c", "kill -TERM $$") as guard:
        assert guard.wait(timeout=10) == 128 + signal.SIGTERM


def test_everything_it_started_ends_when_its_asker_lets_go(tmp_path: Path) -> None:
    # A grandchild that ignores what it can ignore.
    script = f"(trap '' TERM INT HUP; sleep 60 & echo $! > {tmp_path}/pid; wait) & wait"
    with start("sh", "-c", script) as guard:
        deadline = time.monotonic() + 10
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        pid = int((tmp_path / "pid").read_text())
        assert alive(pid)
        assert guard.stdin is not None
        guard.stdin.close()
        assert guard.wait(timeout=10) == -signal.SIGKILL
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(pid)
