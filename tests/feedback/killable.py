"""The real programs of the feedback loop, which are killed and come back."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

from slate.errors import StorageError

PATIENCE: Final = 60.0


class Program:
    """A ``slate`` command that is started again when it was killed, or gave up because its store was away.

    Args:
        says: what its output holds when it is at work.
    """

    def __init__(self, folder: Path, words: list[str], environment: dict[str, str], says: str) -> None:
        folder.mkdir()
        self._folder = folder
        self._command = [sys.executable, "-m", "slate.cli.main", *words]
        self._environment = {**os.environ, **environment}
        self._says = says
        self._changing = threading.Lock()
        self._started = 0
        self.gave_up = 0
        self._start()

    def kill(self) -> None:
        """SIGKILL, at once, and for good."""
        with self._changing:
            self._process.kill()
            self._process.wait()

    def restart(self, *more: str) -> None:
        """SIGKILL, and start again with these words more, without waiting for anything."""
        with self._changing:
            self._process.kill()
            self._process.wait()
            self._start(*more)

    def end(self) -> None:
        """SIGTERM; what is under way is finished."""
        self._process.terminate()
        code = self._process.wait(PATIENCE)
        assert code == 0, self._log.read_text()

    def until_at_work(self) -> None:
        """Wait until it says that it works; start it again where it found no store."""
        end = time.monotonic() + PATIENCE
        while self._says not in self._log.read_text():
            self.keep()
            assert time.monotonic() < end, f"does not start: {self._log.read_text()}"
            time.sleep(0.02)

    def keep(self) -> None:
        """Start it again where it has ended by itself, for which a store that is away is the only reason."""
        with self._changing:
            code = self._process.poll()
            if code is not None:
                assert code == StorageError.exit_code, f"ended with {code}: {self._log.read_text()}"
                self.gave_up += 1
                self._start(*self._more)

    def _start(self, *more: str) -> None:
        self._started += 1
        self._more = more
        with self._log.open("wb") as sink:
            self._process = subprocess.Popen(
                [*self._command, *more], env=self._environment, stdout=sink, stderr=sink
            )

    @property
    def _log(self) -> Path:
        return self._folder / f"{self._started}.log"
