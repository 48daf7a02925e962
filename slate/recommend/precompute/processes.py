"""Several processes that share a partition, spawned: threads do not survive a fork."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final

from slate.errors import SlateError
from slate.recommend.precompute.progress import Figures
from slate.recommend.precompute.worker import Task, work
from slate.retrieval.index.alone import import_scann

_LOOK_S: Final = 1.0


def share(task: Task, workers: int) -> Figures:
    """Let so many processes work on a task.

    All come to an end before the first error is raised, so that what could be done is done.

    Raises:
        SlateError: a process was ended from outside; or see :func:`slate.recommend.precompute.worker.work`.
    """
    if workers == 1:
        return work(task)
    tasks = [replace(task, partition=part) for part in task.partition.split(workers)]
    context = multiprocessing.get_context("spawn")
    running: dict[Connection, BaseProcess] = {}
    done: list[Figures | BaseException] = []
    try:
        for own in tasks:
            ours, theirs = context.Pipe(duplex=False)
            told = (own, theirs, os.getpid())
            process: BaseProcess = context.Process(target=_main, args=told, daemon=True)
            process.start()
            theirs.close()
            running[ours] = process
        while running:
            for connection in wait(list(running)):
                if isinstance(connection, Connection):
                    done.append(_outcome(connection, running.pop(connection)))
    finally:
        for process in running.values():
            process.kill()
            process.join()
    return _together(done)


def _outcome(connection: Connection, process: BaseProcess) -> Figures | BaseException:
    try:
        outcome: Figures | BaseException = connection.recv()
    except EOFError:
        process.join()
        code = process.exitcode or 0
        ended = f"by signal {-code}" if code < 0 else f"with status {code}"
        return SlateError(
            f"batch: a process was ended {ended}; look at the memory, then run again: it goes on from there"
        )
    finally:
        connection.close()
    process.join()
    return outcome


def _together(done: Sequence[Figures | BaseException]) -> Figures:
    total = Figures()
    for outcome in done:
        if isinstance(outcome, BaseException):
            raise outcome
        total += outcome
    return total


def _main(task: Task, connection: Connection, parent: int) -> None:
    # A terminal interrupts the whole group; the parent decides what that means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import_scann()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        connection.send(work(task))
    except Exception as error:
        connection.send(error if isinstance(error, SlateError) else _described(error))


def _described(error: Exception) -> SlateError:
    import traceback

    traceback.print_exc()
    return SlateError(f"batch: {type(error).__name__}: {error} (unexpected; the log shows where)")


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone, however that went."""
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)
