"""``slate up`` over a real release: asked through the gateway, told what users did, killed in parts."""

import contextlib
import json
import os
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
import pyarrow.parquet as pq
import pytest

from serving.stack import Ports, Record, Stack, apart
from slate.clock import SystemClock, isoformat
from slate.config import RolloutConfig
from slate.errors import ReleaseError
from slate.feedback.days import files_of
from slate.rollout.by_hand import abort
from slate.rollout.start import start
from slate.steps.push_release import push_release
from slate.storage import open_store
from tests.conftest import TinyRun, write_tiny_world

PREDICT = "/v1/models/recommender:predict"
PATIENT = [
    f"serving.{name}_ms=20000" for name in ("deadline", "retrieve", "filter", "score", "order", "source")
]


@dataclass
class Up:
    """A stack that runs as a process, its own folder, and what it said when it was ready."""

    folder: Path
    store: str
    process: "subprocess.Popen[str] | None"
    facts: dict[str, Any]

    def ask(self, user: str) -> httpx.Response:
        body = {"instances": [{"user_id": user, "k": 3}]}
        headers = {"x-slate-user-id": user}
        return httpx.post(self.facts["gateway"] + PREDICT, json=body, headers=headers, timeout=60)

    def pid(self, name: str) -> int | None:
        child = Record(self.folder).read()["children"].get(name)
        return None if child is None else int(child["pid"])

    def rows(self, stream: str) -> list[dict[str, Any]]:
        """What the consumer wrote."""
        store = open_store(self.store)
        return [
            row
            for entry in files_of(store, f"{stream}/")
            for row in pq.read_table(store.local_path(entry.key)).to_pylist()
        ]


def until(condition: Callable[[], Any], seconds: float = 120.0) -> Any:
    ends = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < ends
        time.sleep(0.1)
    return found


def command(folder: Path, store: str, *more: str) -> list[str]:
    world = folder / "world"
    world.mkdir(parents=True)
    ports = Ports.free()
    words = ["up", "--store", store, "--config", str(write_tiny_world(world)), "--folder", str(folder / "up")]
    words += ["--gateway-port", str(ports.gateway), "--events-port", str(ports.events), "--json", *more]
    for each in [*apart(folder), *PATIENT, "feedback.batch_s=0.2", "feedback.durability=process"]:
        words += ["--set", each]
    return [sys.executable, "-m", "slate.cli.main", *words]


@pytest.fixture
def environment() -> dict[str, str]:
    left = {name: value for name, value in os.environ.items() if not name.startswith("SLATE_")}
    return {**left, "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.fixture
def store(tiny: TinyRun, tmp_path: Path) -> str:
    """A store of one's own with the release that `tiny` trained."""
    release = push_release(
        str(tmp_path / "store"), tiny.folders["candidate"], tiny.folders["verdict"], "test"
    )
    assert release
    return str(tmp_path / "store")


@contextlib.contextmanager
def up(folder: Path, store: str, environment: dict[str, str]) -> Iterator[Up]:
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            command(folder, store), stdout=subprocess.PIPE, stderr=said, text=True, env=environment
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (folder / "said").read_text()
        yield Up(folder / "up", store, process, json.loads(line))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(120)
        process.stdout.close()  # type: ignore[union-attr]


def test_a_slate_is_asked_for_liked_and_logged(
    store: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    with up(tmp_path, store, environment) as stack:
        answer = until(lambda: (found := stack.ask("p1")).status_code == 200 and found)
        (slate,) = answer.json()["predictions"]
        assert (slate["variant"], slate["rung"]) == ("stable", "personalised")
        os.kill(stack.pid("events") or 0, signal.SIGKILL)
        like = {
            "schema": 1,
            "event_id": "e1",
            "user_id": "p1",
            "item_id": slate["items"][0]["item_id"],
            "event": "watch",
            "timestamp": isoformat(datetime.now(UTC)),
            "exposure_id": slate["exposure_id"],
        }

        def sent() -> bool:
            key = {"authorization": f"Bearer {stack.facts['api_key']}"}
            url = stack.facts["gateway"] + "/v1/events"
            return httpx.post(url, json=like, headers=key, timeout=30).status_code == 202

        until(sent)
        (shown,) = until(lambda: [row for row in stack.rows("exposures") if row["user_id"] == "p1"])[-1:]
        assert shown["exposure_id"]
        (outcome,) = until(lambda: stack.rows("outcomes"))
        assert (outcome["user_id"], outcome["position"]) == ("p1", 1)
        assert Record(stack.folder).held()
        pids = [child["pid"] for child in Record(stack.folder).read()["children"].values()]
    assert stack.process is not None
    assert stack.process.returncode == 0
    assert not Record(stack.folder).held()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert "events was ended by signal 9; it is started again now" in (tmp_path / "said").read_text()


def test_without_a_release_nothing_starts(tmp_path: Path) -> None:
    stack = Stack(
        str(tmp_path / "store"), tmp_path / "up", config=write_tiny_world(tmp_path), overrides=apart(tmp_path)
    )
    with pytest.raises(ReleaseError, match="channel stable is empty; 'slate run' trains a first release"):
        stack.__enter__()
    assert not Record(tmp_path / "up").held()
    assert stack.processes() == []


def slate(folder: Path, environment: dict[str, str], *words: str) -> Any:
    run = subprocess.run(
        [sys.executable, "-m", "slate.cli.main", *words],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=300,
    )
    return run.returncode, run.stdout, run.stderr


@pytest.mark.slow
def test_in_the_background_through_a_rollout_and_kills(
    store: str, tiny: TinyRun, tmp_path: Path, environment: dict[str, str]
) -> None:
    words = command(tmp_path, store, "--detach")
    run = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=300)
    assert run.returncode == 0, run.stderr
    stack = Up(tmp_path / "up", store, None, json.loads(run.stdout))
    try:
        again = subprocess.run(
            [*words[:3], "up", "--store", store, "--folder", str(tmp_path / "up"), "--detach"],
            capture_output=True,
            text=True,
            env=environment,
        )
        assert again.returncode == 2
        assert "a stack is up already" in again.stderr
        assert until(lambda: stack.ask("p1").status_code == 200)
        os.kill(stack.pid("stable") or 0, signal.SIGKILL)
        until(lambda: stack.ask("p1").status_code == 503)
        until(lambda: stack.ask("p1").status_code == 200)
        os.kill(stack.pid("envoy") or 0, signal.SIGKILL)
        until(lambda: _answers(stack))
        candidate = push_release(store, tiny.folders["candidate"], tiny.folders["verdict"], "second")
        opened = open_store(store)
        rollout = start(opened, candidate, RolloutConfig(), by="ann")
        until(lambda: stack.pid("candidate") and stack.pid("shadow"))
        abort(opened, rollout, "ann", "enough", SystemClock())
        until(lambda: stack.pid("candidate") is None and stack.pid("shadow") is None)
        assert stack.ask("p1").json()["predictions"][0]["variant"] == "stable"
        os.kill(int(Record(stack.folder).read()["pid"]), signal.SIGKILL)
        until(lambda: not Record(stack.folder).held())
    finally:
        code, out, _ = slate(tmp_path, environment, "down", "--folder", str(tmp_path / "up"), "--json")
    assert (code, json.loads(out)) == (0, {"ended": True})
    with pytest.raises(httpx.TransportError):
        stack.ask("p1")


def _answers(stack: Up) -> bool:
    try:
        return stack.ask("p1").status_code == 200
    except httpx.TransportError:
        return False
