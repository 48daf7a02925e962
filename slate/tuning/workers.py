"""Worker processes as the study sees them: spawned, since TensorFlow does not survive a fork."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from slate.tuning.tasks import Task
from slate.tuning.trial import Outcome, State
from slate.tuning.worker import EPOCH, main

_PATIENCE: Final = 10.0


@dataclass(frozen=True)
class EpochEvent:
    """An epoch ended; the worker waits for :meth:`Workers.answer`."""

    task: Task
    epoch: int
    figure: float


@dataclass(frozen=True)
class DoneEvent:
    """A task ended, one way or another."""

    task: Task
    outcome: Outcome


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    task: Task | None = None


class Workers:
    """At most ``jobs`` processes, each with its share of the machine's threads; a dead one is replaced."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._threads = max(1, len(os.sched_getaffinity(0)) // jobs)
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.connection.close()
            if kind is not None or worker.task is not None:
                worker.process.kill()
        for worker in self._workers:
            worker.process.join(_PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()

    @property
    def running(self) -> list[Task]:
        """The tasks at work."""
        return [worker.task for worker in self._workers if worker.task is not None]

    @property
    def free(self) -> bool:
        """Whether one more task can start now."""
        return len(self.running) < self._jobs

    def start(self, task: Task, log: Path) -> None:
        """Give a task to an idle process, or to a new one."""
        worker = next((worker for worker in self._workers if worker.task is None), None) or self._spawn()
        worker.task = task
        worker.connection.send((task, log))

    def events(self) -> Iterator[EpochEvent | DoneEvent]:
        """Wait until something happens and say what."""
        busy = {worker.connection: worker for worker in self._workers if worker.task is not None}
        for connection in wait(list(busy)):
            worker = busy[connection]  # type: ignore[index]
            task = worker.task
            if task is None:
                continue
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                yield DoneEvent(task, self._died(worker))
                continue
            if message[0] == EPOCH:
                yield EpochEvent(task, message[1], message[2])
            else:
                worker.task = None
                yield DoneEvent(task, message[1])

    def answer(self, event: EpochEvent, *, go_on: bool) -> None:
        """Let the trial that reported an epoch go on, or end it."""
        for worker in self._workers:
            if worker.task is event.task:
                worker.connection.send(go_on)

    def _spawn(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=main, args=(theirs, self._threads, os.getpid()), daemon=True)
        # A terminal interrupts the whole group; what starts inherits the mask, and only we are to react.
        # The tracker comes first: starting it unblocks the signal.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
            theirs.close()
            # Before an interrupt that waits is let in: it ends the workers listed here.
            worker = _Worker(process, ours)
            self._workers.append(worker)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return worker

    def _died(self, worker: _Worker) -> Outcome:
        worker.process.join(_PATIENCE)
        self._workers.remove(worker)
        worker.connection.close()
        code = worker.process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            hint = "; the machine may be short of memory" if -code == signal.SIGKILL else ""
            return Outcome(State.FAILED, reason=f"its process was ended by {name}{hint}")
        return Outcome(State.FAILED, reason=f"its process ended by itself with status {code}")
