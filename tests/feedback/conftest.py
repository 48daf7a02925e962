"""Both stores of the feedback, each as its own file or server."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from slate.clock import Clock
from slate.feedback.queue import NO_LIMIT, REMEMBERED_SECONDS, Queue
from slate.feedback.redis_queue import RedisQueue
from slate.feedback.redis_server import RedisServer
from slate.feedback.redis_state import RedisState
from slate.feedback.shown import RedisShown, ShownSlates, SqliteShown
from slate.feedback.sqlite_queue import SqliteQueue
from slate.feedback.sqlite_state import SqliteState
from slate.feedback.state import OnlineState
from tests.feedback.stores import RedisProcess


@dataclass(frozen=True)
class Backend:
    """One store; everything that is made of it shares it."""

    name: str
    server: Callable[[], RedisServer]
    path: Path

    def queue(self, pending: int = NO_LIMIT, remember_seconds: float = REMEMBERED_SECONDS) -> Queue:
        if self.name == "redis":
            return RedisQueue(self.server(), pending, remember_seconds)
        return SqliteQueue(self.path, pending=pending, remember_seconds=remember_seconds)

    def state(self, clock: Clock | None = None) -> OnlineState:
        return (
            RedisState(self.server(), clock) if self.name == "redis" else SqliteState(self.path, clock=clock)
        )

    def shown(self) -> ShownSlates:
        return RedisShown(self.server()) if self.name == "redis" else SqliteShown(self.path)


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    process = RedisProcess(tmp_path_factory.mktemp("redis"))
    yield process
    process.kill()


@pytest.fixture(params=["sqlite", "redis"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    opened: list[RedisServer] = []

    def server() -> RedisServer:
        opened.append(RedisServer(process.url, "process"))
        return opened[-1]

    if request.param == "redis":
        process: RedisProcess = request.getfixturevalue("redis_process")
        process.clear()
    yield Backend(request.param, server, tmp_path / "state.db")
    for one in opened:
        one.close()
