"""A server keeps up with a channel, and keeps what it has whatever the store or the release is like."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from slate.errors import NotFoundError, ReleaseError, StorageError
from slate.recommend.online import follow
from slate.recommend.online.follow import ChannelFollower
from slate.recommend.online.online import Loaded
from slate.release.channels import move_channel, rollback
from slate.release.manifest import Manifest
from slate.steps.push_release import push_release
from slate.storage import LocalStore
from tests.conftest import TinyRun
from tests.recommend.online.test_engine import Shelf, loaded


class Server:
    """A follower over a store of its own, what it opened and what it let answer."""

    def __init__(self, tiny: TinyRun, folder: Path) -> None:
        self.tiny = tiny
        shutil.copytree(tiny.store, folder)
        self.store = LocalStore(folder)
        self.opened: list[str] = []
        self.answers: list[str] = []
        self.failures: list[str] = []
        self.refuse: set[str] = set()
        self.follower = self.following(self.store)

    def following(self, store: Any, seconds: float = 0.01, **options: Any) -> ChannelFollower:
        return ChannelFollower(
            store,
            "stable",
            self.load,
            lambda release: self.answers.append(release.release_id),
            seconds=seconds,
            failed=self.failures.append,
            **options,
        )

    def load(self, folder: Path, manifest: Manifest) -> Loaded:
        assert (folder / "manifest.json").is_file()
        self.opened.append(manifest.release_id)
        if manifest.release_id in self.refuse:
            raise ReleaseError(f"release {manifest.release_id}: does not answer as when it was made")
        return loaded(Shelf(manifest.release_id))

    def push(self) -> str:
        at = self.tiny.folders
        return push_release(self.store.uri, at["candidate"], at["verdict"], "again")

    def promote(self, release_id: str) -> None:
        move_channel(self.store, "stable", release_id, reason="test", by="test")


@pytest.fixture
def server(tiny: TinyRun, tmp_path: Path) -> Server:
    return Server(tiny, tmp_path / "store")


def test_all_but_the_first_release_are_fetched_and_opened_out_of_the_way(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = server.tiny.release_id, server.push()
    seen: list[tuple[str, bool]] = []
    fetch, within = follow.local_copy, threading.Event()

    def fetched(store: Any, release_id: str, *args: Any, **options: Any) -> Path:
        seen.append((release_id, within.is_set()))
        return fetch(store, release_id, *args, **options)

    @contextmanager
    def beside() -> Iterator[None]:
        within.set()
        yield
        within.clear()

    monkeypatch.setattr(follow, "local_copy", fetched)
    follower = server.following(server.store, beside=beside)
    follower.start()
    try:
        wait(lambda: server.answers == [first])
        server.promote(second)
        wait(lambda: server.answers == [first, second])
    finally:
        follower.stop()
    assert seen == [(first, False), (second, True)]
    assert not within.is_set()


def test_each_move_is_followed_once_and_a_rollback_needs_no_loading(server: Server) -> None:
    first, second = server.tiny.release_id, server.push()
    server.follower.look()
    server.follower.look()
    server.promote(second)
    server.follower.look()
    rollback(server.store, "stable")
    server.follower.look()
    assert server.answers == [first, second, first]
    assert server.opened == [first, second], "the one before was kept warm"


def test_no_more_than_two_releases_are_kept(server: Server) -> None:
    first, second, third = server.tiny.release_id, server.push(), server.push()
    for release_id in (first, second, third):
        server.promote(release_id)
        server.follower.look()
    move_channel(server.store, "stable", first, reason="far back", by="test")
    server.follower.look()
    assert server.opened == [first, second, third, first]


def test_a_refused_release_never_answers_and_is_not_tried_for_ever(server: Server) -> None:
    first, second, third = server.tiny.release_id, server.push(), server.push()
    server.follower.look()
    server.refuse.add(second)
    server.promote(second)
    with pytest.raises(ReleaseError, match="does not answer"):
        server.follower.look()
    server.follower.look()
    assert (server.answers, server.opened) == ([first], [first, second])
    server.promote(third)
    server.follower.look()
    assert server.answers == [first, third]


def test_a_damaged_release_is_refused_before_it_is_opened(server: Server) -> None:
    second = server.push()
    server.follower.look()
    server.promote(second)
    damaged = Path(server.store.uri) / "releases" / second / "items.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(ReleaseError, match=r"items\.parquet"):
        server.follower.look()
    assert second not in server.opened
    assert server.answers == [server.tiny.release_id]


def empty(store: LocalStore) -> None:
    shutil.rmtree(Path(store.uri) / "channels")


def torn(store: LocalStore) -> None:
    (Path(store.uri) / "channels" / "stable.json").write_text('{"release_id": ')


def forged(store: LocalStore) -> None:
    path = Path(store.uri) / "channels" / "stable.json"
    channel = json.loads(path.read_text())
    channel["sequence"] = channel["history"][0]["sequence"] = 9
    path.write_text(json.dumps(channel))


def nowhere(store: LocalStore) -> None:
    path = Path(store.uri) / "channels" / "stable.json"
    path.write_text(path.read_text().replace("20", "19"))


@pytest.mark.parametrize("break_", [empty, torn, forged, nowhere])
def test_a_channel_that_cannot_be_followed_changes_nothing(
    server: Server, break_: Callable[[LocalStore], None]
) -> None:
    server.follower.look()
    break_(server.store)
    with pytest.raises((ReleaseError, NotFoundError)):
        server.follower.look()
    assert server.answers == [server.tiny.release_id]


def test_an_older_copy_of_the_channel_is_not_followed(server: Server) -> None:
    path = Path(server.store.uri) / "channels" / "stable.json"
    before = path.read_text()
    second = server.push()
    server.promote(second)
    server.follower.look()
    path.write_text(before)
    with pytest.raises(ReleaseError, match="older than 2"):
        server.follower.look()
    assert server.answers == [second]


class Troubled(LocalStore):
    """The real store behind a network that fails in one way until it is repaired."""

    def __init__(self, uri: str, trouble: Callable[[], None]) -> None:
        super().__init__(Path(uri))
        self.trouble: Callable[[], None] | None = trouble

    def read_versioned(self, key: str) -> Any:
        if self.trouble:
            self.trouble()
        return super().read_versioned(key)


def forbidden() -> None:
    raise StorageError("gs://bucket: 403, the account may not read it")


def broken() -> None:
    raise RuntimeError("503 Service Unavailable")


@pytest.mark.parametrize("trouble", [forbidden, broken])
def test_a_store_in_trouble_is_asked_again_and_said_once(
    server: Server, trouble: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    store = Troubled(server.store.uri, trouble)
    follower = server.following(store)
    follower.start()
    wait(lambda: len(server.failures) >= 5)
    assert len([r for r in caplog.records if r.levelname == "WARNING"]) == 1
    store.trouble = None
    wait(lambda: server.answers)
    follower.stop()
    assert server.answers == [server.tiny.release_id]


def test_a_store_that_hangs_holds_nobody_up(server: Server) -> None:
    free = threading.Event()
    store = Troubled(server.store.uri, lambda: (free.wait(20), None)[1])
    follower = server.following(store)
    began = time.monotonic()
    follower.start()
    follower.stop()
    assert time.monotonic() - began < 5
    assert server.answers == []
    free.set()


def wait(for_: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not for_():
        assert time.monotonic() < deadline
        time.sleep(0.01)
