"""Ask a running server from a process of its own, on a core of its own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.serving.contenders import MARKER, Contender, Running, start
from benchmarks.serving.environments import ROOT, MissingError
from benchmarks.serving.generator import Record, Spec
from benchmarks.serving.summary import Summary, latencies, summarise
from benchmarks.serving.worlds import World

_WARM_S: Final = 0.7
_SPARE_S: Final = 30.0


@dataclass(frozen=True)
class Bench:
    """Where things run: cores of the server and the generator, scratch space, the cache; and the deadline."""

    server_core: str
    generator_core: str
    work: Path
    cache: Path
    deadline_ms: float

    def open(self, running: Running, world: World, rate: float, seconds: float, **more: Any) -> Record:
        """Ask in an open loop."""
        return self.ask(self._spec(running, world.users, rate=rate, seconds=seconds, **more))

    def summary(self, running: Running, world: World, rate: float, seconds: float, **more: Any) -> Summary:
        """The same, in numbers."""
        return summarise(self.open(running, world, rate, seconds, **more), seconds, self.deadline_ms)

    def closed(self, running: Running, world: World, connections: int, seconds: float) -> float:
        """Good answers a second in a closed loop: a first idea of what a server can do, and a warm-up."""
        spec = self._spec(running, world.users, seconds=seconds, closed=connections)
        return float(self.ask(spec).good.sum()) / seconds

    def warm(self, running: Running, world: World) -> None:
        """Let a server that was paused find its feet."""
        self.closed(running, world, 4, _WARM_S)

    def ask(self, spec: Spec) -> Record:
        """Run a spec and wait for it."""
        process, out = self.begin(spec)
        return finish(process, out, spec)

    def begin(self, spec: Spec) -> "tuple[subprocess.Popen[bytes], Path]":
        """Start a generator; :func:`finish` waits for it."""
        folder = Path(tempfile.mkdtemp(dir=self.work))
        spec.save(folder / "spec.json")
        words = ["-m", "benchmarks.serving.generator", str(folder / "spec.json"), str(folder / "record.npz")]
        command = ["taskset", "-c", self.generator_core, sys.executable, *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(command, cwd=ROOT, env=environment), folder / "record.npz"

    def start(self, contender: Contender, world: World) -> Running:
        """A server that has answered one request, whose time is kept.

        Raises:
            MissingError: it cannot be started, or answers otherwise than it should.
        """
        running = start(contender, world, self.server_core, self.work, self.cache)
        record = self.open(running, world, 1, 0.5, kind="fixed", timeout_s=60)
        if not record.good.all():
            running.stop()
            raise MissingError(f"answers its first request with {record.status.tolist()}")
        running.first_ms = float(latencies(record)[0])
        running.memory = running.memory_mib()
        return running

    def _spec(self, running: Running, users: Sequence[str], **more: Any) -> Spec:
        base = Spec(running.port, running.contender.path, running.contender.bodies(users), marker=MARKER)
        return replace(base, **more)


def finish(process: "subprocess.Popen[bytes]", out: Path, spec: Spec) -> Record:
    """What a generator recorded.

    Raises:
        RuntimeError: it failed.
    """
    if process.wait(spec.seconds + spec.timeout_s + _SPARE_S):
        raise RuntimeError(f"the load generator ended with {process.returncode}; its message is above")
    return Record.load(out)
