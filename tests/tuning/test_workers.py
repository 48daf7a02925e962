"""Worker processes that die, and what becomes of their tasks."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from slate.tuning.tasks import RetrievalTask
from slate.tuning.trial import State
from slate.tuning.workers import DoneEvent, Workers


def children() -> set[int]:
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        fields = status.read_text().rpartition(")")[2].split()
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            found.add(int(status.parent.name))
    return found


def test_a_worker_that_is_killed_fails_its_trial_with_the_reason(tiny: Any, tmp_path: Path) -> None:
    before = children()
    with Workers(1) as workers:
        workers.start(RetrievalTask(0, tiny.sections(), tmp_path, tmp_path), tmp_path / "log")
        assert not workers.free
        (pid,) = {p for p in children() - before if b"spawn_main" in Path(f"/proc/{p}/cmdline").read_bytes()}
        os.kill(pid, signal.SIGKILL)
        (event,) = workers.events()
        assert workers.free
    assert isinstance(event, DoneEvent)
    assert event.outcome.state is State.FAILED
    assert "SIGKILL" in event.outcome.reason
    assert "memory" in event.outcome.reason


def test_an_interrupt_leaves_no_process_behind(tiny: Any, tmp_path: Path) -> None:
    before = children()

    def interrupted() -> None:
        with Workers(2) as workers:
            for number in range(2):
                workers.start(RetrievalTask(number, tiny.sections(), tmp_path, tmp_path), tmp_path / "log")
            assert len(workers.running) == 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    left = children() - before
    assert not [p for p in left if b"spawn_main" in Path(f"/proc/{p}/cmdline").read_bytes()]
