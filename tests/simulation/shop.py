"""A real HTTP server that answers as gateway and events endpoint do, and keeps what it was told."""

import contextlib
import hashlib
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiohttp import web

from slate.simulation.client import Address

KEY = "a-secret-of-the-simulation-0123456789"
#: Who gets no answer.
DOWN = "user-00001"


class Shop:
    """Slates depend on the user alone, see :meth:`slate`; ``variants`` are the two that answer.

    Args:
        refuse: how many posts of events are answered 503 before one is taken.
    """

    def __init__(
        self, items: Sequence[str], variants: tuple[str, str] = ("stable", "candidate"), refuse: int = 0
    ) -> None:
        self.items, self.variants, self.refuse = items, variants, refuse
        self.asked: list[dict[str, str]] = []
        self.events: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    def slate(self, user: str) -> list[str]:
        return random.Random(user).sample(list(self.items), 10)

    async def predict(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.headers))
        user = request.headers["x-slate-user-id"]
        if user == DOWN:
            return web.json_response({"error": "down"}, status=503)
        variant = self.variants[int(hashlib.sha256(user.encode()).hexdigest(), 16) % 2]
        prediction = {
            "user_id": user,
            "items": [
                {"item_id": item, "score": 1 / place, "position": place, "source": variant, "propensity": 1.0}
                for place, item in enumerate(self.slate(user), 1)
            ],
            "rung": "personalised",
            "release_id": f"release of {variant}",
            "variant": variant,
            "exposure_id": f"{variant} {user}",
        }
        return web.json_response({"predictions": [prediction]}, headers={"x-slate-variant": variant})

    async def take(self, request: web.Request) -> web.Response:
        self.keys.append(request.headers.get("authorization"))
        if self.refuse:
            self.refuse -= 1
            return web.json_response({"error": "later"}, status=503)
        events = await request.json()
        self.events += events
        return web.json_response({"accepted": len(events), "duplicates": 0, "rejected": []}, status=202)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Address]:
        app = web.Application()
        app.router.add_post("/v1/models/recommender:predict", self.predict)
        app.router.add_post("/v1/events", self.take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        url = f"http://127.0.0.1:{port}"
        try:
            yield Address(url, url, KEY)
        finally:
            await runner.cleanup()
