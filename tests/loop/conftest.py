"""The model server, the events endpoint and its consumer, each a process of its own, on one state."""

import base64
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from slate.config import FeedbackConfig
from slate.feedback.open import VARIABLE, open_state
from slate.feedback.state import OnlineState
from tests.conftest import TinyRun
from tests.feedback.stores import RedisProcess
from tests.serving.conftest import free_ports

SECRET = "a-secret-of-the-shop-0123456789abcdef"
PATIENCE = 120.0


@dataclass
class Loop:
    """All of it, as an application sees it. ``told`` collects what was measured."""

    server: str
    events: str
    release_id: str
    processes: dict[str, "subprocess.Popen[bytes]"]
    logs: Path
    feedback: FeedbackConfig
    redis: RedisProcess | None
    told: dict[str, float]

    def slate(self, **instance: Any) -> dict[str, Any]:
        answer = httpx.post(
            f"{self.server}/v1/models/recommender:predict", json={"instances": [instance]}, timeout=60
        )
        assert answer.status_code == 200, answer.text
        prediction: dict[str, Any] = answer.json()["predictions"][0]
        return prediction

    def items(self, **instance: Any) -> list[str]:
        return [item["item_id"] for item in self.slate(**instance)["items"]]

    def send(self, path: str, *parts: dict[str, Any]) -> None:
        answer = httpx.post(
            f"{self.events}{path}",
            json=list(parts),
            headers={"Authorization": f"Bearer {SECRET}"},
            timeout=60,
        )
        assert answer.status_code == 202, answer.text
        assert answer.json()["rejected"] == [], answer.text

    def does(self, user_id: str, item_id: str, event: str = "watch", **more: Any) -> None:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        name = f"{user_id} {event} {item_id} {now}"
        part = {"schema": 1, "event_id": name, "user_id": user_id, "item_id": item_id, "event": event}
        self.send("/v1/events", part | {"timestamp": now} | more)

    def puts(self, item_id: str, available: bool = True, **features: Any) -> None:
        self.send(
            "/v1/items",
            {"schema": 1, "item_id": item_id, "available": available, "features": features},
        )

    def until(self, what: str, is_so: Callable[[], Any], within: float = 20.0) -> None:
        """Ask again and again until it is so; how long that took is told."""
        began = time.monotonic()
        while not is_so():
            assert time.monotonic() - began < within, f"{what} took over {within} s\n{self.log()}"
            time.sleep(0.01)
        self.told[what] = time.monotonic() - began

    def metric(self, line: str) -> float:
        """The value of one line of the server's metrics, 0 where it is missing."""
        for each in httpx.get(f"{self.server}/metrics", timeout=60).text.splitlines():
            if each.startswith(f"{line} "):
                return float(each.rpartition(" ")[2])
        return 0.0

    def state(self) -> OnlineState:
        return open_state(self.feedback)

    def log(self) -> str:
        return "\n".join(f"--- {path.stem}\n{path.read_text()[-3000:]}" for path in self.logs.glob("*.log"))


@pytest.fixture(params=["redis", pytest.param("sqlite", marks=pytest.mark.slow)])
def loop(
    request: pytest.FixtureRequest, tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Loop]:
    redis = RedisProcess(tmp_path / "redis", "always") if request.param == "redis" else None
    if redis is None:
        monkeypatch.delenv(VARIABLE, raising=False)
    else:
        monkeypatch.setenv(VARIABLE, redis.url)
    monkeypatch.setenv("SLATE_API_KEYS", f"shop:{SECRET}:outcomes+organic+items+read")
    monkeypatch.setenv("SLATE_SIGNING_KEYS", f"a:{base64.b64encode(b'k' * 32).decode()}")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
    shutil.copytree(tiny.store, tmp_path / "store")
    http, grpc, port = free_ports(3)
    state = str(tmp_path / "state.db")
    stages = {f"{name}_ms": 20_000 for name in ("deadline", "retrieve", "filter", "score", "order")}
    sections = {
        **tiny.config,
        "serving": {
            "state": state, "http_port": http, "grpc_port": grpc, "drain_s": 0.1, "live_ms": 2_000, **stages,
            "precomputed_first": {"surface": ["footer"]},
        },
        "feedback": {"state": state, "port": port, "batch_s": 0.2, "drain_s": 0.1},
    }  # fmt: skip
    config = tmp_path / "loop.yaml"
    config.write_text(yaml.safe_dump(sections, allow_unicode=True), encoding="utf-8")
    store = str(tmp_path / "store")
    commands = {
        "serve": ["serve", "--store", store],
        "events": ["events", "serve"],
        "consume": ["events", "consume", "--store", store],
    }
    processes: dict[str, subprocess.Popen[bytes]] = {}
    logs = tmp_path / "logs"
    logs.mkdir()
    try:
        for name, words in commands.items():
            with (logs / f"{name}.log").open("wb") as sink:
                processes[name] = subprocess.Popen(
                    [sys.executable, "-m", "slate.cli.main", *words, "--config", str(config)],
                    cwd=tmp_path,
                    stdout=sink,
                    stderr=sink,
                    env=os.environ,
                )
        made = Loop(
            f"http://127.0.0.1:{http}", f"http://127.0.0.1:{port}", tiny.release_id, processes, logs,
            FeedbackConfig.model_validate(sections["feedback"]), redis, {},
        )  # fmt: skip
        ready = (f"{made.server}/v2/models/recommender/ready", f"{made.events}/readyz")
        _wait(made, ready)
        yield made
        for name, seconds in made.told.items():
            print(f"{name}: {1000 * seconds:.0f} ms")
    finally:
        for process in processes.values():
            process.send_signal(signal.SIGKILL)
            process.wait()
        if redis is not None:
            redis.kill()


def _wait(loop: Loop, addresses: tuple[str, ...]) -> None:
    until = time.monotonic() + PATIENCE
    for address in addresses:
        while True:
            ended = [name for name, process in loop.processes.items() if process.poll() is not None]
            assert not ended, f"{ended} ended\n{loop.log()}"
            assert time.monotonic() < until, loop.log()
            try:
                if httpx.get(address, timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
