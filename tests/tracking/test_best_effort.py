"""Nothing that a tracking server can do stops a run or a rollback."""

import re
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from slate.cli.main import app
from slate.config import TrackingConfig, parse_section
from slate.errors import ConfigError
from slate.release.channels import read_channel
from slate.steps.record_outcome import record_outcome
from slate.steps.start_rollout import start_rollout
from slate.storage import open_store
from slate.tracking.attempt import attempt
from slate.tracking.settings import resolved
from tests.tracking.conftest import Recorder

QUICK = 0.5


@contextmanager
def server(answer: Any) -> Iterator[str]:
    """A loopback server that treats every connection alike."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            answer(self.request)

    class Threaded(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        block_on_close = False

    with Threaded(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def silent(connection: socket.socket) -> None:
    time.sleep(20)


def read_request(connection: socket.socket) -> None:
    """All of it: a connection closed with bytes unread is reset, and the client sees no answer."""
    text = b""
    while b"\r\n\r\n" not in text:
        text += connection.recv(65536)
    head, _, body = text.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)content-length: *(\d+)", head)
    while found is not None and len(body) < int(found[1]):
        body += connection.recv(65536)


def reply(status: bytes, body: bytes) -> Any:
    def answer(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    return answer


def dripping(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(200):
        connection.sendall(b" ")
        time.sleep(0.1)


def hanging_up(connection: socket.socket) -> None:
    connection.close()


TROUBLES = {
    "never answers": (silent, "timed out"),
    "answers 500": (
        reply(b"500 Oops", b'{"error_code": "INTERNAL_ERROR", "message": "disk full"}'),
        "500",
    ),
    "answers 403": (reply(b"403 Forbidden", b"go away"), "403"),
    "answers with garbage": (reply(b"200 OK", b"<html>hello</html>"), ""),
    "answers byte by byte": (dripping, "no end after 5 s"),
    "hangs up": (hanging_up, ""),
}


def every_step(recorder: Recorder) -> list[str]:
    """All that talks to the server in the life of a run; the answers of the steps that say why not."""
    said = [recorder.open("run-1"), recorder.track("run-1"), recorder.register("run-1")]
    record_outcome(recorder.store, "run-1", "", {"state": "FAILED"}, recorder.tracking)
    return said


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_server_in_trouble_is_named_with_its_reason_and_nothing_else_changes(
    recorder: Recorder, trouble: str
) -> None:
    behaviour, expected = TROUBLES[trouble]
    with server(behaviour) as uri:
        recorder.tracking.update(uri=uri, timeout_seconds=QUICK)
        said = [recorder.open("run-1")] if behaviour is dripping else every_step(recorder)
        for line in said:
            assert line.startswith(f"tracking: {uri}: ")
            assert line.endswith("; not recorded there")
            assert expected in line
            assert "\n" not in line


def test_a_refused_connection(recorder: Recorder) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    recorder.tracking.update(uri=f"http://127.0.0.1:{port}")
    assert all("refused" in line for line in every_step(recorder))


def test_a_database_that_is_none_or_cannot_be_written(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"this was a database" * 100)
    assert "file is not a database" in recorder.open("run-1")
    recorder.tracking.update(uri=f"sqlite:///{tmp_path / 'mlflow.db' / 'below' / 'a file.db'}")
    assert "Not a directory" in recorder.open("run-1")


def test_artefacts_that_cannot_be_written(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "mlartifacts").write_text("a file where a folder should be")
    assert recorder.open("run-1").endswith("; not recorded there")


def test_without_mlflow(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.delitem(sys.modules, "mlflow.tracking", raising=False)
    assert "pip install 'slate[tracking]'" in recorder.open("run-1")


def test_turned_off_nothing_is_said_and_nothing_made(recorder: Recorder, tmp_path: Path) -> None:
    recorder.tracking.update(enabled=False)
    (tmp_path / "mlflow.db").unlink()
    assert every_step(recorder) == ["", "", ""]
    assert not (tmp_path / "mlflow.db").exists()
    assert not (Path(recorder.store) / "tracking.json").exists()


def test_a_channel_moves_back_and_a_rollout_starts_whatever_becomes_of_the_registry(
    recorder: Recorder,
) -> None:
    from slate.steps.push_release import push_release

    at, store = recorder.tiny.folders, open_store(recorder.store)
    with server(silent) as uri:
        recorder.tracking.update(uri=uri, timeout_seconds=QUICK)
        recorder.register("run-1")
        other = push_release(recorder.store, at["candidate"], at["verdict"], "again")
        for command in (["promote", other], ["rollback"]):
            result = CliRunner().invoke(app, ["releases", *command, "--store", recorder.store])
            assert result.exit_code == 0, result.output
            assert "->" in result.stdout
            assert f"warning: tracking: {uri}" in result.stderr
        stable = read_channel(store, "stable")
        assert stable is not None
        assert stable.release_id == recorder.tiny.release_id
        start_rollout(recorder.store, {}, other)
    candidate = read_channel(store, "candidate")
    assert candidate is not None
    assert candidate.release_id == other


def test_no_password_is_ever_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:s3cret@127.0.0.1:9")
    config = resolved(TrackingConfig(timeout_seconds=QUICK), "shop", Path("work"))
    assert config.uri is None, "an address with a password does not travel"
    line = attempt(config, lambda client: client.search_experiments())
    assert "127.0.0.1:9" in line
    assert "s3cret" not in line
    with pytest.raises(ValueError, match="MLFLOW_TRACKING_PASSWORD"):
        TrackingConfig(uri="http://ann:s3cret@127.0.0.1:9")
    with pytest.raises(ConfigError, match="holds a password"):
        parse_section(TrackingConfig, {"uri": "http://ann:s3cret@127.0.0.1:9"})


def test_defaults_are_the_environment_then_a_database_in_the_work_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = resolved(TrackingConfig(), "shop", tmp_path)
    assert (config.uri, config.experiment, config.model) == (
        f"sqlite:///{tmp_path / 'mlflow.db'}",
        "shop",
        "shop",
    )
    assert resolved(TrackingConfig(), "shop", None).uri is None, "no file in a pod"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert resolved(TrackingConfig(), "shop", tmp_path).uri == "http://127.0.0.1:5000"
    assert resolved(TrackingConfig(uri="http://other"), "shop", tmp_path).uri == "http://other"
