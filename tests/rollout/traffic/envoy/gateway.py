"""The real Envoy between a test and small servers."""

import contextlib
import http.client
import json
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from slate.config import GatewayConfig
from slate.rollout.judge.evidence import Step
from slate.rollout.traffic.driver import Split
from slate.rollout.traffic.envoy.admin import Admin
from slate.rollout.traffic.envoy.driver import EnvoyDriver
from slate.rollout.traffic.envoy.files import Places
from slate.rollout.traffic.envoy.start import prepare
from slate.storage import open_store
from tests.rollout.traffic.envoy.backends import Backend, backends

PATH = "/v1/models/recommender:predict"


class Answered(NamedTuple):
    """``said`` is None where it is no JSON: the gateway itself answered."""

    status: int
    said: dict[str, Any] | None

    @property
    def variant(self) -> str:
        assert self.said is not None, self.status
        return str(self.said["variant"])

    @property
    def headers(self) -> dict[str, str]:
        """As the server got them."""
        assert self.said is not None, self.status
        found: dict[str, str] = self.said["headers"]
        return found


@dataclass
class Gateway:
    """An Envoy process, the servers behind it, and a client's connection."""

    folder: Path
    places: Places
    servers: dict[str, Backend]
    process: "subprocess.Popen[bytes] | None" = None
    _client: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self._client = self.client()

    def start(self) -> None:
        command = prepare(self.folder, self.places)
        self.restart(command)

    def restart(self, command: list[str] | None = None) -> None:
        """As a supervisor starts it again: nothing of its folder is written anew."""
        words = command or self.command
        self.command = words
        self.process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        admin, ends = Admin(self.places.admin), time.monotonic() + 60
        while not admin.live():
            assert self.process.poll() is None, "Envoy ended"
            assert time.monotonic() < ends
            time.sleep(0.02)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self._client.close()

    def client(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.places.gateway, timeout=30)

    def ask(
        self,
        user: str | None = None,
        path: str = PATH,
        client: http.client.HTTPConnection | None = None,
        **headers: str,
    ) -> Answered:
        """One request; ``x_slate_step="5"`` is a header."""
        named = {name.replace("_", "-"): value.encode() for name, value in headers.items()}
        if user is not None:
            named["x-slate-user-id"] = user.encode()
        connection = client or self._client
        connection.request("POST", path, b"{}", named)
        answer = connection.getresponse()
        body = answer.read()
        return Answered(answer.status, json.loads(body) if body.startswith(b"{") else None)

    def tell(self, driver: EnvoyDriver, split: Split) -> None:
        """Make a move, and wait until this connection follows: Envoy's threads hear of it in turn."""
        driver.apply(split)
        wanted = {"x-slate-rollout": split.rollout_id, "x-slate-step": split.step}
        wanted["x-slate-allocation"] = f"{split.threshold / 10_000:.4f}"
        ends = time.monotonic() + 10
        while True:
            said = self.ask("somebody").said
            if said is not None and wanted.items() <= said["headers"].items():
                break
            assert time.monotonic() < ends
        for server in self.servers.values():
            server.asked.clear()

    def driver(self, store: Path, block_s: float = 0.2) -> EnvoyDriver:
        return EnvoyDriver(GatewayConfig(folder=str(self.folder), block_s=block_s), open_store(str(store)))


@contextlib.contextmanager
def gateway(folder: Path) -> Iterator[Gateway]:
    """Envoy and a server for each variant and for events."""
    with backends("stable", "candidate", "shadow", "events") as servers:
        ports = {name: backend.port for name, backend in servers.items()}
        running = Gateway(folder, Places(free_port(), free_port(), ports), servers)
        running.start()
        try:
            yield running
        finally:
            running.kill()


def free_port() -> int:
    """A port that no client of this machine is given."""
    while True:
        port = random.SystemRandom().randrange(12_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def step(name: str = "50", percent: float = 50.0, rollout_id: str = "r1") -> Step:
    now = datetime.now(UTC)
    return Step(rollout_id, name, percent, now, now)
