"""One process of a stack: started, watched, started again, ended."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from serving.stack.logs import trim

#: A process that lived so long did not fail at its start: what it does next begins anew.
_SETTLED_SECONDS: Final = 30.0
_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 15.0


@dataclass(frozen=True)
class Spec:
    """What a process is.

    Attributes:
        patience_s: how long it may take to end by itself.
        ready: asks it whether it does its work; alive is enough where it is None.
    """

    name: str
    command: Sequence[str]
    log: Path
    patience_s: float = 10.0
    ready: Callable[[], bool] | None = None


class Child:
    """A process that should be there, or should not.

    One thread looks; others may ask how it is.

    Args:
        tell: told in one line when it ends unasked.
    """

    def __init__(self, spec: Spec, environment: Mapping[str, str], tell: Callable[[str], None]) -> None:
        self.spec = spec
        self.wanted = False
        self.failures = 0
        self.restarts = 0
        self._environment = environment
        self._tell = tell
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._not_before = 0.0
        self._told_to_end = 0.0

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self.pid is not None

    def ready(self) -> bool:
        """Whether it does its work."""
        return self.running and (self.spec.ready is None or self.spec.ready())

    def look(self) -> None:
        """Start or end the process, as is due."""
        now = time.monotonic()
        if self._process is not None and self._process.poll() is not None:
            self._ended(now)
        if self.wanted and self._process is None and now >= self._not_before:
            self._start(now)
        if not self.wanted and self._process is not None:
            self._end(now)
        trim(self.spec.log)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            _signal(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @property
    def gone(self) -> bool:
        """Whether it ended after it was not wanted any more."""
        return self._process is None

    def _start(self, now: float) -> None:
        try:
            self.spec.log.parent.mkdir(parents=True, exist_ok=True)
            with self.spec.log.open("ab") as log:
                # A session of its own: Ctrl-C in a terminal is for the stack, which ends it in good order.
                self._process = subprocess.Popen(  # noqa: S603 (our own commands)
                    self.spec.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **self._environment},
                    start_new_session=True,
                )
        except OSError as error:
            self._failed(now, f"cannot be started ({error})")
            return
        self._started, self._told_to_end = now, 0.0

    def _end(self, now: float) -> None:
        assert self._process is not None  # noqa: S101 (for mypy)
        if not self._told_to_end:
            _signal(self._process.pid, signal.SIGTERM)
            self._told_to_end = now
        elif now - self._told_to_end > self.spec.patience_s:
            _signal(self._process.pid, signal.SIGKILL)

    def _ended(self, now: float) -> None:
        code = self._process.returncode if self._process is not None else 0
        self._process = None
        if not self.wanted:
            return
        self.failures = 0 if now - self._started > _SETTLED_SECONDS else self.failures
        self._failed(now, f"was ended by signal {-code}" if code < 0 else f"ended with status {code}")

    def _failed(self, now: float, why: str) -> None:
        self.restarts += 1
        self.failures += 1
        wait = 0.0 if self.failures == 1 else min(_FIRST_WAIT * 2 ** (self.failures - 2), _LONGEST_WAIT)
        self._not_before = now + wait
        when = f"in {wait:g} s" if wait else "now"
        self._tell(f"{self.spec.name} {why}; it is started again {when}, its log is {self.spec.log}")


def _signal(pid: int, number: signal.Signals) -> None:
    """To the process and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
