"""Read why a step failed from what its process wrote last."""

import re
from pathlib import Path
from typing import Final

from pipelines.results import Failure
from slate import errors

_HEADER: Final = "Traceback (most recent call last):"
_RAISED: Final = re.compile(r"^(?P<name>[A-Za-z_][\w.]*)(: (?P<message>.*))?$", re.DOTALL)
_KEPT: Final = 256 * 1024
# What another attempt may cure: the world outside, not the data, the configuration or the code.
_PASSING: Final = frozenset(
    {
        "StorageError",
        "ConflictError",
        "ConnectionError",
        "ConnectionResetError",
        "ConnectionRefusedError",
        "TimeoutError",
        "URLError",
        "ServiceUnavailable",
        "TooManyRequests",
    }
)


def read_failure(step: str, log: Path, code: int) -> Failure:
    """The last error in a step's log.

    Args:
        code: the exit status of the step's process, not 0.

    Returns:
        the error as raised; when the process wrote no traceback, what its exit status says.
    """
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _KEPT))
        text = file.read().decode(errors="replace")
    attempt = text.rpartition("--- attempt")[2]
    trace = attempt.rpartition(_HEADER)[2] if _HEADER in attempt else ""
    lines = trace.splitlines()
    first = next((i for i, line in enumerate(lines) if line and not line[0].isspace()), None)
    raised = _RAISED.match("\n".join(lines[first:]).strip()) if first is not None else None
    if raised is None:
        return Failure(step, "", _died(code), "", log, 1, certain=True)
    name = raised["name"].rpartition(".")[2]
    message = (raised["message"] or "").strip() or name
    known = getattr(errors, name, None) if raised["name"].startswith("slate.") else None
    certain = name not in _PASSING
    if isinstance(known, type) and issubclass(known, errors.SlateError):
        return Failure(step, name, message, _HEADER + trace, log, known.exit_code, certain)
    shown = f"{name}: {message}" if name != message else name
    return Failure(step, name, f"{shown} (unexpected; --debug shows where)", _HEADER + trace, log, 1, certain)


def _died(code: int) -> str:
    if code == 128 + 9:
        return "its process was killed (signal 9), most often for want of memory; free some and run again"
    if code > 128:
        return f"its process was ended by signal {code - 128}; the log holds what it said last"
    return f"its process ended with status {code} and no message; the log holds what it said last"
