"""What only Google Cloud Storage can get wrong: answers that are lost, late or missing."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

import pytest

from slate.errors import ConfigError, ConflictError, NotFoundError, StorageError
from slate.storage import open_store
from slate.storage.gcs import GcsStore

pytestmark = pytest.mark.gcs


class Relay(BaseHTTPRequestHandler):
    """Passes requests on to the emulator, but may lose the answers of uploads."""

    upstream: str
    lost: list[str]
    spoil: Callable[[], bool]

    def do_POST(self) -> None:
        self._relay("POST")

    def do_GET(self) -> None:
        self._relay("GET")

    def _relay(self, method: str) -> None:
        from urllib.error import HTTPError

        length = int(self.headers.get("Content-Length") or 0)
        request = Request(  # noqa: S310
            self.upstream + self.path,
            data=self.rfile.read(length) if length else None,
            headers={"Content-Type": self.headers.get("Content-Type", "")},
            method=method,
        )
        kept: dict[str, str] = {}
        try:
            with urlopen(request, timeout=10) as answer:  # noqa: S310
                status, body = answer.status, answer.read()
                kept = {k: v for k, v in answer.headers.items() if k.lower().startswith("x-goog-")}
        except HTTPError as error:
            with error:
                status, body = error.code, error.read()
        if method == "POST" and type(self).spoil():
            self.lost.append(self.path)
            status, body = 503, b"{}"
        self.send_response(status)
        for name, value in kept.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def relay(gcs: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Relay]]:
    handler = type(
        "Handler", (Relay,), {"upstream": gcs.url, "lost": [], "spoil": staticmethod(lambda: False)}
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_address[1]}")
        yield handler
        server.shutdown()
        thread.join()


def once(handler: type[Relay]) -> Callable[[], bool]:
    return lambda: not handler.lost


def test_a_write_whose_answer_was_lost_is_no_conflict(gcs: Any, relay: type[Relay]) -> None:
    store = GcsStore(gcs.new_bucket())
    relay.spoil = staticmethod(once(relay))
    generation = store.compare_and_swap("k", b"1", None)
    assert len(relay.lost) == 1
    assert store.read_versioned("k") == (b"1", generation)
    relay.lost.clear()
    second = store.compare_and_swap("k", b"2", generation)
    assert len(relay.lost) == 1
    assert store.read_versioned("k") == (b"2", second)
    store.close()


def test_a_lost_answer_of_a_losing_write_stays_a_conflict(gcs: Any, relay: type[Relay]) -> None:
    store = GcsStore(gcs.new_bucket())
    store.write_new("k", b"theirs")
    relay.spoil = staticmethod(once(relay))
    with pytest.raises(ConflictError, match="k: already exists"):
        store.write_new("k", b"mine")
    assert len(relay.lost) == 1
    assert store.read("k") == b"theirs"
    store.close()


def test_a_store_that_keeps_failing_is_named(gcs: Any, relay: type[Relay]) -> None:
    address = gcs.new_bucket()
    store = GcsStore(address, patience=1.5)
    relay.spoil = staticmethod(lambda: True)
    with pytest.raises(StorageError, match=f"{address}/k: the store did not answer") as caught:
        store.write_new("k", b"1")
    assert not isinstance(caught.value, ConflictError)
    store.close()


def test_an_unreachable_store_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    store = GcsStore("gs://nowhere/x", patience=0.5)
    for call in (lambda: store.read("k"), lambda: store.write_new("k", b""), lambda: store.list()):
        with pytest.raises(StorageError, match=r"gs://nowhere/x/.*check the network"):
            call()
    store.close()


def test_a_missing_bucket_is_named(gcs: Any, tmp_path: Any) -> None:
    store = open_store("gs://slate-no-such-bucket/p")
    for call in (
        lambda: store.read("k"),
        lambda: store.write_new("k", b""),
        lambda: store.list(),
        lambda: store.delete("k"),
    ):
        with pytest.raises(NotFoundError, match="gs://slate-no-such-bucket/p"):
            call()


@pytest.mark.parametrize(
    "address", ["gs://", "gs:///x", "gs://bucket/../x", "gs://bucket//x", "gs://bucket/./x"]
)
def test_malformed_addresses_are_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="store 'gs://"):
        open_store(address)


def test_prefixes_do_not_see_each_other(gcs: Any) -> None:
    bucket = gcs.new_bucket()
    one, two = open_store(f"{bucket}/team"), open_store(f"{bucket}/team-2/")
    one.write_new("k", b"1")
    two.write_new("k", b"2")
    assert (one.read("k"), two.read("k")) == (b"1", b"2")
    assert (one.list(), two.list()) == (["k"], ["k"])
    assert open_store(bucket).list() == ["team-2/k", "team/k"]
    assert two.describe("k") == f"{bucket}/team-2/k"
