"""The state of local runs: ``runs/<run id>/run.json`` in the work folder.

A run that was killed or interrupted is gone on with under its own id by the next run of the same
pipeline with the same arguments, so that it is one run wherever runs are recorded.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from slate.errors import ConflictError

RUNNING: Final = "running"
INTERRUPTED: Final = "interrupted"
_FILE: Final = "run.json"


@dataclass(frozen=True)
class RunState:
    """What is known of one run: ``key`` stands for the pipeline and all its arguments but the id.

    ``state`` is running, interrupted, succeeded or failed; what was killed stands at running.
    """

    run_id: str
    key: str
    state: str


def key_of(pipeline: str, arguments: Mapping[str, Any], *, caching: bool) -> str:
    """The identity of a piece of work: runs of one key differ only in their id."""
    rest = {name: value for name, value in arguments.items() if name != "run_id"}
    text = json.dumps([pipeline, caching, rest], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def unfinished(workdir: Path, key: str) -> str | None:
    """The id of the latest run of this key, if it did not come to an end."""
    same = [run for run in _runs(workdir) if run.key == key]
    latest = max(same, key=lambda run: run.run_id, default=None)
    return latest.run_id if latest is not None and latest.state in (RUNNING, INTERRUPTED) else None


def enter(folder: Path, run_id: str, key: str) -> None:
    """Mark a run as running. Call it with the work folder's lock held.

    Raises:
        ConflictError: another process has brought it to its end in the meantime.
    """
    known = _read(folder / _FILE)
    if known is not None and known.state not in (RUNNING, INTERRUPTED):
        raise ConflictError(f"run {run_id}: another process has just ended it; run again")
    leave(folder, run_id, key, RUNNING)


def leave(folder: Path, run_id: str, key: str, state: str) -> None:
    """Write how a run stands."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{_FILE}.{os.getpid()}"
    draft.write_text(json.dumps(asdict(RunState(run_id, key, state)), indent=1), encoding="utf-8")
    draft.replace(folder / _FILE)


def killed(workdir: Path) -> frozenset[str]:
    """The ids of runs that never came to an end; one that is running now is among them."""
    return frozenset(run.run_id for run in _runs(workdir) if run.state in (RUNNING, INTERRUPTED))


def _runs(workdir: Path) -> Iterator[RunState]:
    for path in (workdir / "runs").glob(f"*/{_FILE}"):
        run = _read(path)
        if run is not None:
            yield run


def _read(path: Path) -> RunState | None:
    """A run's state; None where there is none that can be read, which starts a run of its own."""
    try:
        return RunState(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
