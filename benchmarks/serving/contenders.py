"""Who is measured: how each server is started, asked and stopped."""

import base64
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.serving.environments import ROOT, MissingError, python_of
from benchmarks.serving.servers.graph import RELEASE
from benchmarks.serving.worlds import World

SLATE: Final = "slate"
STOCK: Final = "kserve"
#: What the answers of a release say when nothing was given up for speed, in V1's JSON and inside V2's text.
MARKER: Final = "personalised"

_START_S: Final = 150.0
_STOP_S: Final = 20.0
_POLL_S: Final = 0.05
#: Slates get exposure ids and are recorded, as in production.
_KEYS: Final = f"bench:{base64.b64encode(b'only for measuring on loopback').decode()}"


@dataclass(frozen=True)
class Contender:
    """A server: the words that start it on a port, where it is asked, and what tells that it is ready.

    ``package`` is what its version is read of, ``peer`` the name of its own environment, if it has one.
    """

    name: str
    package: str
    command: Callable[["Contender", World, int, Path, Path], Sequence[str]]
    path: str
    ready: str
    v2: bool = False
    peer: str | None = None

    def bodies(self, users: Sequence[str]) -> list[str]:
        """One request a user, for ten items."""
        if self.v2:
            tensor = '{{"inputs":[{{"name":"user_id","shape":[1],"datatype":"BYTES","data":["{}"]}}]}}'
            return [tensor.format(user) for user in users]
        plain = '{{"instances":[{{"user_id":"{}","k":10}}]}}'
        return [plain.format(user) for user in users]


def _slate(own: Contender, world: World, port: int, work: Path, _: Path) -> list[str]:
    del own
    words = ["-m", "slate.cli.main", "serve", "--store", str(world.store)]
    return [
        sys.executable,
        *words,
        f"--http-port={port}",
        f"--grpc-port={port + 1}",
        "--set=serving.poll_s=0.2",
        "--set=serving.drain_s=0",
        f"--set=serving.state={work / f'state-{port}.db'}",
    ]


def _module(own: Contender, _: World, port: int, __: Path, cache: Path) -> list[str]:
    name = {STOCK: "stock_kserve"}.get(own.name, f"{own.name}_server")
    python = sys.executable if own.peer is None else str(python_of(own.peer, cache))
    return [python, "-m", f"benchmarks.serving.servers.{name}", str(port)]


_V1: Final = "/v1/models/recommender:predict"
CONTENDERS: Final = {
    each.name: each
    for each in (
        Contender(SLATE, "slate-recommender", _slate, _V1, "/v2/models/recommender/ready"),
        Contender(STOCK, "kserve", _module, _V1, "/v2/models/recommender/ready"),
        Contender(
            "mlserver",
            "mlserver",
            _module,
            "/v2/models/recommender/infer",
            "/v2/health/ready",
            v2=True,
            peer="mlserver",
        ),
        Contender("bentoml", "bentoml", _module, "/predict", "/readyz", peer="bentoml"),
        Contender("litserve", "litserve", _module, "/predict", "/health", peer="litserve"),
    )
}


@dataclass
class Running:
    """A started server with its whole family of processes.

    ``ready_s`` seconds passed before it was ready, ``first_ms`` its first request took, and ``memory`` MiB
    it had then.
    """

    contender: Contender
    process: "subprocess.Popen[bytes]"
    port: int
    log: Path
    ready_s: float = 0.0
    first_ms: float = 0.0
    memory: float = 0.0
    _paused: bool = field(default=False, repr=False)

    def family(self) -> list[int]:
        """The ids of the server's processes, itself first."""
        found = [self.process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    found += [int(child) for child in task.read_text().split() if int(child) not in found]
                except OSError:
                    continue
        return found

    def memory_mib(self) -> float:
        """Proportional set size of the family: shared pages count once."""
        total = 0
        for pid in self.family():
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total / 1024

    def pause(self) -> None:
        """Take no processor time while somebody else is measured."""
        self._signal(signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        self._signal(signal.SIGCONT)
        self._paused = False

    def stop(self) -> None:
        """End by itself if it can, then for good."""
        family = self.family()
        if self._paused:
            self.resume()
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_STOP_S)
        for pid in family:
            if _belongs(pid, self.process.pid):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: int) -> None:
        for pid in self.family():
            os.kill(pid, number)


def start(contender: Contender, world: World, cores: str, work: Path, cache: Path) -> Running:
    """Start a server and wait until it says that it is ready.

    Raises:
        MissingError: its environment is missing, it ended, or it is not ready in time.
    """
    if contender.peer is not None and not python_of(contender.peer, cache).exists():
        raise MissingError(f"has no environment in {cache}; make it with --install")
    port = free_port()
    log = work / f"{contender.name}-{port}.log"
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": str(ROOT),
        "SLATE_SIGNING_KEYS": _KEYS,
        RELEASE: str(world.folder),
    }
    command = ["taskset", "-c", cores, *contender.command(contender, world, port, work, cache)]
    began = time.monotonic()
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=sink, stderr=sink, env=environment, start_new_session=True
        )
    running = Running(contender, process, port, log)
    try:
        _wait(running, contender.ready)
        running.ready_s = time.monotonic() - began
    except MissingError:
        running.stop()
        raise
    return running


def free_port() -> int:
    """A port of the loopback whose two successors are free too."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < 65_000 and all(_free(port + more) for more in (1, 2)):
            return port


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _wait(running: Running, path: str) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        if running.process.poll() is not None:
            raise MissingError(f"ended while it started: {_tail(running.log)}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{running.port}{path}", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(_POLL_S)
    raise MissingError(f"was not ready after {_START_S:.0f} s: {_tail(running.log)}")


def _belongs(pid: int, session: int) -> bool:
    """Whether a process is still there and of the session that was started for the server."""
    try:
        return os.getsid(pid) == session
    except ProcessLookupError:
        return False


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-500:].strip()
