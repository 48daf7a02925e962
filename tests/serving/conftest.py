"""A served release, once for all protocol tests."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.conftest import TinyRun

ROOT = Path(__file__).parents[2]


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@dataclass(frozen=True)
class Served:
    """A running server: ``url`` is ours, ``plain`` is KServe's application alone."""

    process: "subprocess.Popen[bytes]"
    url: str
    plain: str
    grpc: str
    release_id: str
    log: Path


def start(tiny: TinyRun, folder: Path, drain_s: float = 0.5) -> Served:
    """Start a server over the tiny release and wait until it is ready."""
    http, grpc, plain = free_ports(3)
    log = folder / "server.log"
    release = str(Path(tiny.store) / "releases" / tiny.release_id)
    words = [release, http, grpc, plain, drain_s]
    command = [sys.executable, "-m", "tests.serving.served", *map(str, words)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    with log.open("wb") as sink:
        process = subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=sink, env=environment)
    served = Served(
        process,
        f"http://127.0.0.1:{http}",
        f"http://127.0.0.1:{plain}",
        f"127.0.0.1:{grpc}",
        tiny.release_id,
        log,
    )
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            both = [httpx.get(f"{url}/v2/health/ready", timeout=2) for url in (served.url, served.plain)]
            if all(answer.status_code == 200 for answer in both):
                return served
        except httpx.TransportError:
            time.sleep(0.1)
    process.kill()
    raise AssertionError(log.read_text())


@pytest.fixture(scope="session")
def served(tiny: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server over the tiny release; it must end by itself, well, when told to."""
    running = start(tiny, tmp_path_factory.mktemp("served"))
    yield running
    running.process.send_signal(signal.SIGTERM)
    try:
        assert running.process.wait(20) == 0, running.log.read_text()
    finally:
        running.process.kill()
