"""The model server's HTTP front over a recommender, on a port of the loopback, as clients meet it."""

import asyncio
import contextlib
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import uvicorn
from kserve import model_server

from serving.fast import FastPath
from serving.state import State
from slate.config import ServingConfig
from slate.recommend.engine import Answer, ScoreRequest, Scores
from slate.recommend.recommender import Recommender
from slate.recommend.request import Request

PREDICT = "/v1/models/recommender:predict"
LIMITS = ServingConfig(max_instances=256, max_history=2_000, max_body_bytes=2**26)


class Direct:
    """All stages of a recommender, at once and on the loop: one call of each model for one HTTP request."""

    variant = "stable"
    ready = True

    def __init__(self, recommender: Callable[[], Recommender]) -> None:
        self._recommender = recommender

    @property
    def release_id(self) -> str | None:
        return self._recommender().release_id

    def refuses(self, _requests: int) -> None:
        """There is always room."""

    async def recommend(self, requests: Sequence[Request], _deadline_ms: float | None = None) -> list[Answer]:
        slates = self._recommender().funnel.slates(requests)
        return [Answer(slate, self.variant) for slate in slates]

    async def score(self, requests: Sequence[ScoreRequest]) -> list[Scores]:
        return self._recommender().funnel.score_items(requests)


@contextlib.contextmanager
def client_of(recommender: Callable[[], Recommender]) -> Iterator[httpx.Client]:
    """A client of a server that answers from the recommender."""
    app = FastPath(model_server.app, State(Direct(recommender), LIMITS))
    config = uvicorn.Config(app, "127.0.0.1", 0, http="httptools", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(30)


def instance(text: str) -> dict[str, Any]:
    """A V1 instance of a request as the tests write them: the instant goes into the context.

    JSON knows no numbers that are not finite, and the server refuses them: they go as null.
    """
    body = json.loads(text)
    sent = {name: _finite(body[name]) for name in ("user_id", "context") if name in body}
    sent["context"] = {**sent.get("context", {}), "timestamp": body["at"]}
    if "history" in body:
        sent["history"] = [
            {"item_id": each["item_id"], "event": each["event"], "timestamp": each["at"]}
            for each in body["history"]
        ]
    return sent


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value
