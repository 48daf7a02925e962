"""The serving image: checked by its file, and, without a container engine, by its dependencies alone."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.conftest import TinyRun
from tests.serving.conftest import free_ports

ROOT = Path(__file__).parents[2]
CONTAINERFILE = ROOT / "serving" / "Containerfile"
LOCK = ROOT / "serving" / "requirements.lock"
#: What only training, pipelines, tracking or tests need.
NOT_SERVED = (
    "tensorflow", "tensorflow-recommenders", "tf-keras", "kfp", "mlflow", "optuna", "pandera", "scikit-learn",
    "pytest", "matplotlib", "hatchling",
)  # fmt: skip


def pinned(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)(?:\[[^\]]*\])?==(\S+)", lock.read_text(), re.MULTILINE))


def test_hadolint_has_nothing_to_say() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    run = subprocess.run([linter, CONTAINERFILE], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "")


def test_it_is_pinned_not_root_and_says_when_it_is_alive() -> None:
    text = CONTAINERFILE.read_text()
    assert re.search(r"^ARG BASE=\S+@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${BASE}", "${BASE}"]
    assert re.findall(r"^USER (\d+):(\d+)$", text, re.MULTILINE) == [("10001", "10001")]
    assert "HEALTHCHECK" in text
    ignored = (ROOT / "serving" / "Containerfile.dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for name in line.split():
            assert (ROOT / name).exists(), name
            assert f"!{name}" in ignored, name


def test_both_images_have_the_same_base() -> None:
    bases = {
        re.findall(r"^ARG BASE=(\S+)$", path.read_text(), re.MULTILINE)[0]
        for path in (CONTAINERFILE, ROOT / "pipelines" / "Containerfile")
    }
    assert len(bases) == 1


def test_what_is_installed_is_tested_and_none_of_it_is_for_training() -> None:
    served, tested = pinned(LOCK), pinned(ROOT / "requirements.lock")
    assert {name: version for name, version in served.items() if tested.get(name) != version} == {}
    assert not set(NOT_SERVED) & set(served)
    assert {"kserve", "ai-edge-litert", "scann", "uvloop", "orjson"} <= set(served)
    assert len(served) < len(tested) / 1.5


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_server_runs_from_its_own_dependencies_alone(tiny: TinyRun, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    assert uv is not None
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(environment)], check=True)
    python = environment / "bin" / "python"
    command = [uv, "pip", "sync", "-q", "--python", str(python), "--require-hashes", str(LOCK)]
    subprocess.run(command, check=True)
    app = tmp_path / "app"
    for package in ("slate", "serving"):
        shutil.copytree(ROOT / package, app / package, ignore=shutil.ignore_patterns("__pycache__"))
    http, grpc = free_ports(2)
    release = Path(tiny.store) / "releases" / tiny.release_id
    options = ["--release", str(release), "--http-port", str(http), "--grpc-port", str(grpc)]
    patient = ["--deadline-ms", "9000", "--retrieve-ms", "9000", "--score-ms", "9000"]
    settings = {**os.environ, "PYTHONPATH": str(app), "PYTHONSAFEPATH": "1"}
    log = tmp_path / "log"
    with log.open("wb") as sink:
        server = subprocess.Popen(
            [python, "-m", "serving", *options, *patient, "--state", str(tmp_path / "state.db")],
            env=settings, cwd=tmp_path, stdout=sink, stderr=sink,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 180
        while True:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                body = {"instances": [{"user_id": "p1", "k": 3}]}
                answer = httpx.post(
                    f"http://127.0.0.1:{http}/v1/models/recommender:predict", json=body, timeout=30
                )
                break
            except httpx.TransportError:
                time.sleep(0.2)
        assert answer.json()["predictions"][0]["rung"] == "personalised", answer.text
    finally:
        server.terminate()
        assert server.wait(60) == 0
