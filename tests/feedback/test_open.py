"""Which store is chosen, what is asked of it, and what is never said of it."""

from pathlib import Path

import pytest

from slate.config import FeedbackConfig
from slate.errors import ConfigError, StorageError
from slate.feedback.open import VARIABLE, describe, open_queue, open_shown, open_state
from slate.feedback.redis_queue import RedisQueue
from slate.feedback.redis_server import RedisServer
from slate.feedback.sqlite_queue import SqliteQueue
from slate.feedback.state import Happened
from tests.feedback.stores import RedisProcess

SECRET = "hunter2"


def _config(tmp_path: Path, **changes: object) -> FeedbackConfig:
    return FeedbackConfig(state=str(tmp_path / "deep" / "state.db"), **changes)


@pytest.fixture(autouse=True)
def _no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_a_file_by_default_and_redis_where_the_environment_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_process: RedisProcess
) -> None:
    config = _config(tmp_path, durability="process", redis_unchecked=True)
    assert isinstance(open_queue(config), SqliteQueue)
    assert describe(config) == config.state
    monkeypatch.setenv(VARIABLE, redis_process.url)
    redis_process.clear()
    queue = open_queue(config)
    assert isinstance(queue, RedisQueue)
    queue.append("s", [b"1"])
    open_state(config).remember({"ann": [Happened("e", "pen", "like", 1.0)]}, 5)
    open_shown(config).put({"x": b"1"}, 60)
    assert open_queue(config).depth("s") == 1
    assert len(open_state(config).history("ann")) == 1
    assert open_shown(config).find(["x"]) == {"x": b"1"}
    monkeypatch.delenv(VARIABLE)
    assert open_queue(config).depth("s") == 0


def test_a_queue_is_as_long_as_configured_and_remembers_as_long_as_events_may_be_old(tmp_path: Path) -> None:
    queue = open_queue(_config(tmp_path, pending=3, max_age_s=100.0, max_ahead_s=20.0, window_s=50.0))
    assert isinstance(queue, SqliteQueue)
    assert (queue._pending, queue._remember_seconds) == (3, 120.0)


@pytest.mark.parametrize(
    ("flush", "append_only", "durability", "problem"),
    [
        ("always", True, "power", None),
        ("everysec", True, "power", "is not seen to keep every acknowledged write .appendfsync everysec."),
        ("no", True, "power", "appendfsync no"),
        ("no", True, "process", None),
        ("everysec", True, "process", "appendfsync everysec"),
        ("always", False, "process", "has no append-only file"),
    ],
)
def test_a_redis_that_keeps_less_than_asked_for_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flush: str,
    append_only: bool,
    durability: str,
    problem: str | None,
) -> None:
    process = RedisProcess(tmp_path / "redis", flush, append_only)
    monkeypatch.setenv(VARIABLE, process.url)
    try:
        config = _config(tmp_path, durability=durability)
        if problem is None:
            assert open_queue(config).depth("s") == 0
            RedisServer(process.url, durability).client.config_set("maxmemory", "100mb")
            RedisServer(process.url, durability).client.config_set("maxmemory-policy", "allkeys-lru")
            problem = "throws keys away when it is full .allkeys-lru."
        with pytest.raises(ConfigError, match=problem):
            open_queue(config)
        unchecked = config.model_copy(update={"redis_unchecked": True})
        assert open_queue(unchecked).append("s", [b"1"]) == [True]
    finally:
        process.kill()


@pytest.mark.parametrize(
    "url", [f"http://u:{SECRET}@host", f"redis://u:{SECRET}@", f"redis://:{SECRET}@host:port/0", SECRET]
)
def test_an_address_that_is_none_is_refused_without_repeating_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv(VARIABLE, url)
    for call in (open_queue, open_state, open_shown, describe):
        with pytest.raises(ConfigError, match=f"{VARIABLE}: is no address") as raised:
            call(_config(tmp_path))
        assert SECRET not in str(raised.value)


def test_no_error_shows_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_process: RedisProcess
) -> None:
    url = redis_process.url.replace("//", f"//ann:{SECRET}@")
    monkeypatch.setenv(VARIABLE, url)
    assert describe(_config(tmp_path)) == redis_process.url
    with pytest.raises(StorageError, match=f"{redis_process.url}: AuthenticationError") as raised:
        open_queue(_config(tmp_path))
    assert SECRET not in str(raised.value)
    monkeypatch.setenv(VARIABLE, f"redis://ann:{SECRET}@127.0.0.1:1/0")
    with pytest.raises(StorageError, match=r"redis://127\.0\.0\.1:1/0: ConnectionError") as raised:
        open_queue(_config(tmp_path))
    assert SECRET not in str(raised.value)


def test_a_server_that_comes_back_is_used_again(tmp_path: Path) -> None:
    process = RedisProcess(tmp_path / "redis", "always")
    try:
        queue = RedisQueue(RedisServer(process.url))
        queue.append("s", [b"1"], ["a"])
        process.kill()
        with pytest.raises(StorageError, match="look at the server"):
            queue.append("s", [b"2"], ["b"])
        assert process.start()
        assert queue.append("s", [b"1", b"2"], ["a", "b"]) == [False, True]
        assert [entry.position for entry in queue.read("s", 0, 9)] == [1, 2]
    finally:
        process.kill()
