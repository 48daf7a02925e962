"""Keep what libraries written in C++ say in passing off a terminal and out of logs."""

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from typing import Final

_ERRORS: Final = 2
#: How their information and warnings begin.
_CHATTER: Final = re.compile(
    rb"(INFO|WARNING): |[IW]\d{4} \d\d:\d\d:|[IW]0000 |WARNING: All log messages before "
)
_lock = threading.Lock()


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Hold back the file of errors for a moment; what is no chatter is written when the block ends.

    The file is the whole process's, so lines of other threads wait too.
    """
    with _lock, os.fdopen(os.memfd_create("held"), "r+b") as held:
        kept = os.dup(_ERRORS)
        os.dup2(held.fileno(), _ERRORS)
        try:
            yield
        finally:
            os.dup2(kept, _ERRORS)
            os.close(kept)
            held.seek(0)
            rest = b"".join(line for line in held if not _CHATTER.match(line))
            if rest:
                os.write(_ERRORS, rest)
