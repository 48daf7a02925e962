"""`slate events` as a process of its own, asked by clients over the network."""

import base64
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from slate.cli.main import app
from slate.clock import SystemClock, isoformat
from slate.errors import ConfigError
from slate.feedback.endpoint.keys import VARIABLE as KEYS_VARIABLE
from slate.feedback.queue import EVENTS
from slate.feedback.signing import VARIABLE as SIGNING_VARIABLE
from slate.feedback.signing import Signer
from slate.feedback.sqlite_queue import SqliteQueue
from tests.feedback.endpoint.world import APP, DATASET, KEYS, READER, SHOP

SIGNING = b"a signing key of the shop"


@dataclass(frozen=True)
class Running:
    """A running endpoint."""

    process: "subprocess.Popen[bytes]"
    url: str
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def command(self, *words: str) -> Result:
        """A `slate` command against the endpoint."""
        return CliRunner().invoke(app, [*words, "--url", self.url])

    def records(self) -> list[dict[str, Any]]:
        queue = SqliteQueue(self.folder / "state.db")
        found = [json.loads(entry.record) for entry in queue.read(EVENTS, 0, 100_000)]
        queue.close()
        return found


def start(folder: Path, **settings: Any) -> Running:
    """Start an endpoint and wait until it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    feedback = {"state": str(folder / "state.db"), "port": port, "drain_s": 0.5, **settings}
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"dataset": DATASET, "feedback": feedback}))
    signing = f"k1:{base64.b64encode(SIGNING).decode()}"
    environment = {**os.environ, KEYS_VARIABLE: KEYS, SIGNING_VARIABLE: signing}
    with (folder / "log").open("wb") as sink:
        command = [sys.executable, "-m", "slate.cli.main", "events", "serve", "--config", str(config)]
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env=environment)
    running = Running(process, f"http://127.0.0.1:{port}", folder)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, running.log
        try:
            if httpx.get(f"{running.url}/readyz", timeout=5).status_code == 200:
                return running
        except httpx.TransportError:
            time.sleep(0.05)
    process.kill()
    raise AssertionError(running.log)


@contextlib.contextmanager
def restored_logging() -> Iterator[None]:
    """The command takes over logging; a test may not keep it."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One endpoint for this file, which its last test ends."""
    endpoint = start(tmp_path_factory.mktemp("endpoint"), drain_s=3.0)
    yield endpoint
    endpoint.process.kill()
    endpoint.process.wait()


def event(number: int, **changes: Any) -> dict[str, Any]:
    now = isoformat(SystemClock().now())
    sound = {
        "schema": 1,
        "event_id": f"e{number}",
        "user_id": f"u{number % 50}",
        "item_id": "i",
        "event": "like",
    }
    return {**sound, "timestamp": now, **changes}


def test_the_commands_of_a_client(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLATE_API_KEY", SHOP)
    file = running.folder / "events.jsonl"
    file.write_text("\n".join(json.dumps(event(number)) for number in range(30)))
    sent = running.command("events", "send", str(file), "--batch", "7")
    assert (sent.exit_code, sent.stdout.strip()) == (0, "30 accepted, 0 duplicates, 0 rejected")
    file.write_text(json.dumps([event(0), event(99, event="buy")]))
    again = running.command("events", "send", str(file), "--json")
    answer = json.loads(again.stdout)
    assert (again.exit_code, answer["duplicates"], answer["rejected"][0]["index"]) == (4, 1, 1)
    assert running.command("items", "take-down", "i1", "i2").exit_code == 0
    listed = json.loads(running.command("items", "list", "--json").stdout)
    assert [(each["item_id"], each["available"]) for each in listed] == [("i1", False), ("i2", False)]
    file.write_text(json.dumps({"schema": 1, "item_id": "i1", "available": True, "features": {"price": 2}}))
    assert running.command("items", "put", str(file)).stdout.strip() == "1 accepted, 0 rejected"
    monkeypatch.setenv("SLATE_API_KEY", f"{SHOP}x")
    refused = running.command("items", "list")
    assert isinstance(refused.exception, ConfigError)
    assert SHOP not in str(refused.exception)


def test_many_clients_at_once_a_drain_and_no_secret_in_the_log(running: Running) -> None:
    headers = {"authorization": f"Bearer {SHOP}"}
    signer = Signer({"k1": SIGNING})
    exposures = [signer.sign(f"u{n}", "r1", "stable") for n in range(5)]
    acknowledged: list[str] = []
    told = threading.Event()
    after = [0]

    def send(client_number: int) -> None:
        with httpx.Client(base_url=running.url, headers=headers, timeout=20) as client:
            for number in range(1000 + client_number, 100_000, 4):
                try:
                    answer = client.post("/v1/events", json=event(number))
                except httpx.TransportError:
                    # The door is closed; nothing was acknowledged, so this one is to be sent elsewhere.
                    assert told.is_set()
                    return
                assert answer.status_code == 202, answer.text
                assert answer.json()["accepted"] == 1
                acknowledged.append(f"e{number}")
                after[0] += told.is_set()

    with httpx.Client(base_url=running.url, timeout=20) as client:
        outcomes = [
            event(n, event_id=f"o{n}", user_id=f"u{n}", exposure_id=each) for n, each in enumerate(exposures)
        ]
        assert client.post("/v1/events", json=outcomes, headers={"x-api-key": APP}).json()["accepted"] == 5
        for key in (f"{SHOP}x", "nobody-knows-this-key"):
            assert client.post("/v1/events", json=[], headers={"x-api-key": key}).status_code == 401
        bad = {"password": "hunter2", "exposure_id": exposures[0]}
        assert client.post("/v1/events", json=bad, headers=headers).json()["accepted"] == 0
        assert client.post("/v1/events", content=SHOP, headers=headers).status_code == 400
        with ThreadPoolExecutor(4) as pool:
            clients = [pool.submit(send, number) for number in range(4)]
            time.sleep(0.5)
            running.process.send_signal(signal.SIGTERM)
            told.set()
            time.sleep(0.2)
            assert client.get("/readyz").status_code == 503
            assert client.get("/healthz").status_code == 200
            for each in clients:
                each.result(30)
    assert running.process.wait(30) == 0, running.log
    assert after[0] > 0
    kept = [record["event_id"] for record in running.records()]
    assert len(kept) == len(set(kept))
    assert set(acknowledged) <= set(kept)
    assert not {SHOP, APP, READER, "hunter2", "nobody-knows", exposures[0]} & set(running.log.split('"'))
    assert all(word not in running.log for word in (SHOP, APP, READER, "hunter2", *exposures))
    assert all(json.loads(line)["message"] for line in running.log.splitlines()[1:])
    assert len(running.log.splitlines()) < 10


def test_it_refuses_to_start_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEYS_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    for words in (["events"], ["events", "serve"]):
        with restored_logging():
            ended = CliRunner().invoke(app, words)
        assert isinstance(ended.exception, ConfigError)
        assert "--open" in str(ended.exception)
    assert not list(tmp_path.iterdir())
