"""Logs of processes that write to them for months: each keeps its end, and a little of what was before."""

import os
import shutil
from pathlib import Path
from typing import Final

MOST_BYTES: Final = 10_485_760
_TAIL: Final = 12
_LONGEST: Final = 8192


def trim(path: Path, most: int = MOST_BYTES) -> None:
    """Begin a log anew that has grown above ``most`` bytes; what it was lies beside it, as ``<name>.1``.

    Whoever appends to it goes on. Lines of the instant in between may be lost.
    """
    try:
        if path.stat().st_size > most:
            shutil.copyfile(path, path.with_name(f"{path.name}.1"))
            os.truncate(path, 0)
    except OSError:
        pass  # On a full disk there is nothing to be done here; the servers go on.


def tail(path: Path) -> str:
    """The last lines of a log."""
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - _LONGEST, 0))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-_TAIL:])
