"""A stack that another process runs, taken down."""

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Final

from serving.stack.record import Record
from slate.errors import GatewayError

_STEP: Final = 0.1


def take_down(folder: Path, patience_s: float = 90.0) -> bool:
    """End the stack of a folder and wait until it is gone; whether there was anything to end.

    One that does not end by itself in time is killed, and what it leaves behind is ended, as is what a stack
    that was killed before left behind.

    Raises:
        GatewayError: it runs under another user.
    """
    record = Record(folder)
    if not record.held():
        return record.end_left_behind() > 0
    pid = int(record.read().get("pid", 0))
    for number, seconds in ((signal.SIGTERM, patience_s), (signal.SIGKILL, patience_s)):
        try:
            with contextlib.suppress(ProcessLookupError):
                if pid > 0:
                    os.kill(pid, number)
        except PermissionError as error:
            raise GatewayError(
                f"the stack of {folder} is process {pid}, which another user runs; ask them to take it down"
            ) from error
        ends = time.monotonic() + seconds
        while record.held() and time.monotonic() < ends:
            time.sleep(_STEP)
        if not record.held():
            break
    record.end_left_behind()
    return True
