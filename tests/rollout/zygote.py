"""Starts ``slate rollout watch`` in no time: what it imports is imported once, and each process is a fork.

For each line on standard input, which names a file for its output, one process; its id is answered.
Arguments are those of the command.
"""

import os
import signal
import sys

import kubernetes.client  # noqa: F401
import requests  # noqa: F401

import slate.rollout.controller
import slate.rollout.gather
import slate.rollout.traffic.kubernetes.driver  # noqa: F401
from slate.cli.main import main


def run(log: str) -> None:
    """Be the command, in a fork."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv = ["slate", "rollout", "watch", *sys.argv[1:]]
    main()


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            run(line.strip())
            os._exit(0)
        print(process, flush=True)
