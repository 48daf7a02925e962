"""A real server process over a small release, for tests to talk to.

``python -m tests.serving.served FOLDER HTTP GRPC PLAIN DRAIN``: besides the server it opens KServe's own
application, without the fast path, on the port PLAIN. Users whose id begins with ``test:`` meet trouble.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import uvicorn
from kserve import model_server

from serving.server import Server
from serving.state import State
from slate.config import ServingConfig
from slate.recommend.engine import Answer, NotReadyError, OverloadedError, ScoreRequest, Scores
from slate.recommend.open import open_release
from slate.recommend.recommender import Recommender
from slate.recommend.request import Request

LIMITS = {"max_body_bytes": 200_000, "max_instances": 8, "max_k": 100, "max_items": 50, "max_history": 50}


class ReleaseEngine:
    """Answers from one opened release on a thread, one request after the other."""

    variant = "stable"

    def __init__(self, recommender: Recommender) -> None:
        self._recommender = recommender
        self._thread = ThreadPoolExecutor(1)
        self.ready = True
        self._full = False

    @property
    def release_id(self) -> str | None:
        return self._recommender.release_id

    def refuses(self, requests: int) -> OverloadedError | None:
        full = OverloadedError(f"server: no room for {requests}; ask again later", 1.2)
        return full if self._full else None

    async def recommend(self, requests: Sequence[Request], deadline_ms: float | None = None) -> list[Answer]:
        del deadline_ms  # There is one rung here.
        await self._meet([request.user_id for request in requests])
        loop = asyncio.get_running_loop()
        slates = await loop.run_in_executor(self._thread, self._recommender.funnel.slates, requests)
        exposures = [f"exposure of {s.user_id}" if s.user_id else None for s in slates]
        return [Answer(slate, self.variant, seen) for slate, seen in zip(slates, exposures, strict=True)]

    async def score(self, requests: Sequence[ScoreRequest]) -> list[Scores]:
        await self._meet([request.user_id for request in requests])
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._recommender.funnel.score_items, requests)

    async def _meet(self, users: Sequence[str | None]) -> None:
        for user in users:
            if user == "test:overloaded":
                raise OverloadedError("server: 64 requests wait; ask again later", 1.2)
            if user == "test:draining":
                raise OverloadedError("server: going down; ask another", 0.0, draining=True)
            if user == "test:unready":
                raise NotReadyError("server: no release is loaded; look at the log")
            if user == "test:broken":
                raise ZeroDivisionError("a secret of the server's")
            if user == "test:slow":
                await asyncio.sleep(0.4)
            if user in ("test:full", "test:room"):
                self._full = user == "test:full"
            if user in ("test:lose", "test:regain"):
                self.ready = user == "test:regain"


@contextlib.asynccontextmanager
async def plain(port: int) -> AsyncIterator[None]:
    """KServe's application as it is, beside the server."""
    config = uvicorn.Config(
        model_server.app,
        "127.0.0.1",
        port,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    running = asyncio.ensure_future(server.serve())
    yield
    server.should_exit = True
    await running


def main() -> None:
    folder, http, grpc, other, drain = sys.argv[1:]
    ports = {"http_port": int(http), "grpc_port": int(grpc)}
    config = ServingConfig.model_validate({**ports, **LIMITS, "drain_s": drain, "grace_s": 10})
    engine = ReleaseEngine(open_release(folder))
    Server(State(engine, config)).run(plain(int(other)))


if __name__ == "__main__":
    main()
