"""Worker processes that die, and what becomes of their tasks."""

import multiprocessing
from pathlib import Path

import pytest

from slate.tuning.tasks import RetrievalTask
from slate.tuning.trial import State
from slate.tuning.workers import DoneEvent, Workers


def test_a_worker_that_is_killed_fails_its_trial_with_the_reason(tmp_path: Path) -> None:
    before = set(multiprocessing.active_children())
    with Workers(1) as workers:
        workers.start(RetrievalTask(0, {}, tmp_path, tmp_path), tmp_path / "log")
        assert not workers.free
        (process,) = set(multiprocessing.active_children()) - before
        process.kill()
        (event,) = workers.events()
        assert workers.running == []
    assert isinstance(event, DoneEvent)
    assert event.outcome.state is State.FAILED
    assert "SIGKILL" in event.outcome.reason
    assert "memory" in event.outcome.reason


def test_an_interrupt_leaves_no_process_behind(tmp_path: Path) -> None:
    before = set(multiprocessing.active_children())

    def interrupted() -> None:
        with Workers(2) as workers:
            for number in range(2):
                workers.start(RetrievalTask(number, {}, tmp_path, tmp_path), tmp_path / "log")
            assert len(workers.running) == 2
            assert len(set(multiprocessing.active_children()) - before) == 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert set(multiprocessing.active_children()) <= before
