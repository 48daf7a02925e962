"""One stack a folder, and nothing left of one that was killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.stack import Record, take_down
from slate.errors import ConfigError

ROOT = Path(__file__).parents[2]
SLEEPS = "import time; time.sleep(600)"
#: Holds a folder, has a child, and says so.
HOLDS = """
import signal, subprocess, sys, time, types
from pathlib import Path
# Not the packages' own: to load the model server's library takes seconds.
for name in ("serving", "serving.stack"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [name.replace(".", "/")]
from serving.stack.record import Record
record = Record(Path(sys.argv[1]))
record.take()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
record.write({"ready": True}, {"one": child.pid})
def ends(*_):
    child.kill()
    child.wait()
    record.give_back()
    sys.exit(0)
signal.signal(signal.SIGTERM, ends if sys.argv[2] == "well" else signal.SIG_IGN)
print(child.pid, flush=True)
time.sleep(600)
"""


def holder(folder: Path, how: str = "well") -> tuple["subprocess.Popen[str]", int]:
    """A process that holds a folder, and its child's id."""
    command = [sys.executable, "-c", HOLDS, str(folder), how]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.stdout.close()
    return process, child


def alive(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def test_a_second_one_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    first, second = Record(tmp_path), Record(tmp_path)
    first.take()
    first.write({"ready": True}, {})
    with pytest.raises(ConfigError, match=f"process {os.getpid()}.*slate down"):
        second.take()
    assert second.held()
    first.give_back()
    assert not second.held()
    second.take()
    second.give_back()


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="name another folder"):
        Record(tmp_path / "file" / "up").take()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"children": {}}'])
def test_stale_facts_are_no_obstacle(tmp_path: Path, text: str) -> None:
    (tmp_path / "stack.json").write_text(text)
    record = Record(tmp_path)
    record.take()
    record.give_back()


def test_what_a_killed_stack_left_behind_is_ended_and_nothing_else(tmp_path: Path) -> None:
    process, child = holder(tmp_path)
    process.kill()
    process.wait()
    assert alive(child)
    other = subprocess.Popen([sys.executable, "-c", SLEEPS], start_new_session=True)
    try:
        text = (tmp_path / "stack.json").read_text()
        record = Record(tmp_path)
        # A process that has the number of one that is long gone.
        (tmp_path / "stack.json").write_text(
            text.replace('"children": {', f'"children": {{{other_of(other.pid)}')
        )
        record.take()
        assert not alive(child)
        assert other.poll() is None
        record.give_back()
    finally:
        other.kill()
        other.wait()


def other_of(pid: int) -> str:
    return f'"other": {{"pid": {pid}, "born": "1"}}, '


def test_down_ends_it_well(tmp_path: Path) -> None:
    process, child = holder(tmp_path)
    assert take_down(tmp_path)
    assert process.wait(30) == 0
    assert not alive(child)
    assert not take_down(tmp_path)


def test_down_kills_what_does_not_end(tmp_path: Path) -> None:
    process, child = holder(tmp_path, "stubborn")
    assert take_down(tmp_path, patience_s=0.3)
    assert process.wait(30) == -signal.SIGKILL
    ends = time.monotonic() + 30
    while alive(child):
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_down_where_nothing_ever_was(tmp_path: Path) -> None:
    assert not take_down(tmp_path / "none")
