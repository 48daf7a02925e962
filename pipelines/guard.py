"""Run a command that must not outlive the process that asked for it.

Started by path, isolated, in a session of its own: ``python -I -S guard.py COMMAND...``. The asker holds
the other end of standard input. When that end closes, because the asker was interrupted or killed
outright, the whole session is killed. Otherwise the exit status is the command's.
"""

import os
import signal
import subprocess
import sys
import threading


def _kill_session_when_left_alone() -> None:
    # os.read and not sys.stdin, whose lock would hang the interpreter's exit.
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


def main() -> int:
    """Run the command of ``sys.argv``; 128 + n when signal n ended it."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)  # noqa: S603 - the asker's own command
    threading.Thread(target=_kill_session_when_left_alone, daemon=True).start()
    status = child.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
