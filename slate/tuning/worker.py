"""The inside of a worker process: one task after another, each with a log of its own."""

import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from slate.tuning.tasks import Pruned, Task
from slate.tuning.trial import Outcome, State

EPOCH: Final = "epoch"
DONE: Final = "done"


def main(connection: Connection, threads: int, parent: int) -> None:
    """Take tasks until the other side closes.

    Messages out: ``(EPOCH, epoch, figure)``, answered with whether to go on, and ``(DONE, Outcome)``.
    """
    # The parent decides what an interrupt means, and ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _share_machine(threads)
    while True:
        try:
            task, log = connection.recv()
        except EOFError:
            return
        _log_to(log)
        outcome = attempt(task, connection)
        try:
            connection.send((DONE, outcome))
        except OSError:
            return


def attempt(task: Task, connection: Connection) -> Outcome:
    """Run a task; whatever stops it becomes the reason of a failed trial."""

    def report(epoch: int, figure: float) -> bool:
        connection.send((EPOCH, epoch, figure))
        return bool(connection.recv())

    try:
        return task.run(report)
    except Pruned:
        return Outcome(State.PRUNED)
    except (EOFError, BrokenPipeError):
        os._exit(1)
    except Exception as error:  # One bad trial must not end the others.
        import traceback

        traceback.print_exc()
        text = (str(error).strip().splitlines() or ["no message"])[0]
        return Outcome(State.FAILED, reason=f"{type(error).__name__}: {text[:500]}")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        _forget()


def _share_machine(threads: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def _forget() -> None:
    """Let go of a trial's graphs, or memory grows with every trial."""
    import gc

    import tensorflow as tf

    tf.keras.backend.clear_session()
    gc.collect()


def _log_to(path: Path) -> None:
    """Send this process's output, TensorFlow's too, to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)


def _end_with(parent: int) -> None:
    """End this process soon after its parent, however that died."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
