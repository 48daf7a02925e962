"""``slate serve`` as a user starts it: a real process over a store, followed, asked, stopped."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from slate.feedback.queue import EXPOSURES
from slate.feedback.signing import Signer
from slate.feedback.sqlite_queue import SqliteQueue
from slate.release.channels import move_channel
from slate.steps.push_release import push_release
from slate.storage import LocalStore
from tests.conftest import TinyRun
from tests.serving.conftest import free_ports

KEY = b"k" * 32


@dataclass
class Running:
    """A server process and the store that it follows."""

    process: "subprocess.Popen[bytes]"
    url: str
    store: LocalStore
    state: Path
    log: Path

    def wait(self, for_: Callable[[], Any], seconds: float = 90.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if for_():
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def slate(self, **instance: Any) -> dict[str, Any]:
        answer = httpx.post(
            f"{self.url}/v1/models/recommender:predict", json={"instances": [instance]}, timeout=30
        )
        assert answer.status_code == 200, answer.text
        prediction: dict[str, Any] = answer.json()["predictions"][0]
        return prediction

    def ready(self) -> bool:
        return httpx.get(f"{self.url}/v2/models/recommender/ready", timeout=5).status_code == 200


@pytest.fixture
def running(tiny: TinyRun, tmp_path: Path) -> Iterator[Running]:
    shutil.copytree(tiny.store, tmp_path / "store")
    http, grpc = free_ports(2)
    state, log = tmp_path / "state.db", tmp_path / "serve.log"
    patient = [f"serving.{name}_ms=9000" for name in ("deadline", "retrieve", "filter", "score", "order")]
    settings = [f"serving.state={state}", "serving.poll_s=0.05", "serving.drain_s=0.2", *patient]
    command = [sys.executable, "-m", "slate.cli.main", "serve", "--store", str(tmp_path / "store")]
    command += ["--http-port", str(http), "--grpc-port", str(grpc)]
    command += [part for setting in settings for part in ("--set", setting)]
    environment = {**os.environ, "SLATE_SIGNING_KEYS": f"a:{base64.b64encode(KEY).decode()}"}
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env=environment, cwd=tmp_path)
    made = Running(process, f"http://127.0.0.1:{http}", LocalStore(tmp_path / "store"), state, log)
    try:
        made.wait(made.ready)
        yield made
    finally:
        process.kill()
        process.wait()


def test_it_follows_its_channel_records_what_it_shows_and_stops_in_order(
    tiny: TinyRun, running: Running
) -> None:
    first = running.slate(user_id="p1", k=3)
    assert (first["rung"], first["variant"], first["release_id"]) == (
        "personalised",
        "stable",
        tiny.release_id,
    )
    assert [item["position"] for item in first["items"]] == [1, 2, 3]
    shown = Signer({"a": KEY}).check(first["exposure_id"], "p1", 3_600)
    assert (shown.release, shown.variant) == (tiny.release_id, "stable")
    stranger = running.slate(history=[item["item_id"] for item in first["items"]], k=4)
    assert (stranger["rung"], stranger["exposure_id"]) == ("personalised", None)
    assert not {i["item_id"] for i in stranger["items"]} & {i["item_id"] for i in first["items"]}

    said = {"variant": "candidate", "rollout": "r-1", "step": "5", "bucket": "12"}
    headers = {f"x-slate-{name}": value for name, value in said.items()}
    asked = {"instances": [{"user_id": "p2"}]}
    assert httpx.post(f"{running.url}/v1/models/recommender:predict", json=asked, headers=headers).is_success

    at = tiny.folders
    second = push_release(running.store.uri, at["candidate"], at["verdict"], "again")
    move_channel(running.store, "stable", second, reason="test", by="test")
    running.wait(lambda: running.slate(user_id="p2")["release_id"] == second)
    assert running.ready()
    damaged = push_release(running.store.uri, at["candidate"], at["verdict"], "damaged")
    folder = Path(running.store.uri) / "releases" / damaged
    (folder / "items.parquet").write_bytes(b"")
    move_channel(running.store, "stable", damaged, reason="test", by="test")
    running.wait(lambda: "items.parquet" in running.log.read_text())
    metrics = httpx.get(f"{running.url}/metrics", timeout=10).text
    assert f'slate_release_info{{channel="stable",release_id="{second}"}} 1.0' in metrics
    assert 'slate_slates_total{rung="personalised"}' in metrics
    assert 'slate_filtered_items_total{filter="seen"}' in metrics
    assert 'slate_requests_total{code="200",model="recommender",variant="stable"}' in metrics

    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(60) == 0, running.log.read_text()
    records = [json.loads(entry.record) for entry in SqliteQueue(running.state).read(EXPOSURES, 0, 10_000)]
    assert records[0]["exposure_id"] == first["exposure_id"]
    assert [item["item_id"] for item in records[0]["items"]] == [i["item_id"] for i in first["items"]]
    assert {record["user_id"] for record in records} == {"p1", "p2"}
    (canary,) = (record for record in records if record.get("rollout_id"))
    assert (canary["rollout_id"], canary["step"], canary["bucket"]) == ("r-1", "5", 12)
    assert (canary["assigned_variant"], canary["served_variant"]) == ("candidate", "stable")


def test_a_pinned_release_that_may_not_answer_ends_the_server(tiny: TinyRun, tmp_path: Path) -> None:
    folder = tmp_path / tiny.release_id
    shutil.copytree(Path(tiny.store) / "releases" / tiny.release_id, folder)
    (folder / "features.json").write_text("{}")
    http, grpc = free_ports(2)
    command = [sys.executable, "-m", "serving", "--release", str(folder)]
    command += ["--http-port", str(http), "--grpc-port", str(grpc)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False)
    assert ended.returncode != 0
    assert "features.json" in ended.stderr
    assert "Traceback" not in ended.stderr.splitlines()[-1]
