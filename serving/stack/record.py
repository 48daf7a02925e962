"""Which stack is up in a folder, and which processes one left behind that was killed."""

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from slate.errors import ConfigError

_LOCK: Final = "lock"
_FILE: Final = "stack.json"
_PATIENCE: Final = 10.0
_STEP: Final = 0.05


class Record:
    """The lock of a folder, and what is known of the stack that holds it.

    The lock is the system's: it ends with the process that holds it, however that ends.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: int | None = None

    def take(self) -> None:
        """Hold the folder, and end what a killed stack left behind.

        Raises:
            ConfigError: another stack holds it, or it cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(f"{self._folder}: cannot be written ({error}); name another folder") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise ConfigError(
                f"a stack is up already in {self._folder} (process {self.read().get('pid', '?')}); "
                "take it down with 'slate down'"
            ) from error
        self._lock = lock
        self.end_left_behind()

    def give_back(self) -> None:
        """Let others have the folder."""
        if self._lock is not None:
            (self._folder / _FILE).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def write(self, facts: Mapping[str, Any], children: Mapping[str, int]) -> None:
        """Say what is up; ``children`` are process ids by name."""
        known = {name: {"pid": pid, "born": _born(pid)} for name, pid in children.items()}
        text = json.dumps({"pid": os.getpid(), **facts, "children": known}, indent=1)
        beside = self._folder / f".{_FILE}"
        beside.write_text(text, encoding="utf-8")
        beside.replace(self._folder / _FILE)

    def read(self) -> dict[str, Any]:
        """What was said last; empty where there is nothing, or nothing to be understood."""
        try:
            found = json.loads((self._folder / _FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def held(self) -> bool:
        """Whether a stack is up."""
        try:
            lock = os.open(self._folder / _LOCK, os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def end_left_behind(self) -> int:
        """End processes whose stack was killed; how many there were."""
        left = [
            each["pid"]
            for each in self.read().get("children", {}).values()
            if each["born"] is not None and _born(each["pid"]) == each["born"]
        ]
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in filter(_alive, left):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, number)
            ends = time.monotonic() + _PATIENCE
            while any(map(_alive, left)) and time.monotonic() < ends:
                time.sleep(_STEP)
        return len(left)


def _born(pid: int) -> str | None:
    """When a process started, in the system's ticks: another one with its number began at another time."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()
    return None if state == "Z" else fields[18]


def _alive(pid: int) -> bool:
    return _born(pid) is not None
