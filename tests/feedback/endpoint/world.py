"""A shop's endpoint in this process: the real application and queue, on a clock that stands still."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import jwt

from slate.clock import ManualClock, isoformat
from slate.config import DatasetConfig, FeedbackConfig, parse_section
from slate.feedback.endpoint.app import EventsApp
from slate.feedback.endpoint.intake import Intake
from slate.feedback.endpoint.keys import Gatekeeper, keys_from_environment
from slate.feedback.endpoint.metrics import Metrics
from slate.feedback.endpoint.tokens import Tokens
from slate.feedback.open import open_queue, open_state
from slate.feedback.partitions import events_stream
from slate.feedback.queue import QUARANTINE
from slate.feedback.signing import Signer

NOW: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
SHOP: Final = "shop-secret-0123456789"
APP: Final = "app-secret-0123456789"
READER: Final = "reader-secret-0123456789"
JWT_SECRET: Final = "a secret of thirty-two bytes ...."
KEYS: Final = f"shop:{SHOP}:outcomes+organic+items+read,app:{APP}:outcomes,reader:{READER}:read"

DATASET: Final[dict[str, Any]] = {
    "name": "shop",
    "interactions": {
        "path": "events.csv",
        "columns": {"value": "dwell", "event": "what"},
        "ranges": {"value": {"min": 0, "max": 3600}},
    },
    "items": {
        "path": "items.csv",
        "columns": {"title": "name"},
        "features": {
            "genre": "categorical",
            "tags": "categorical_list",
            "price": "numeric",
            "added": "timestamp",
        },
        "ranges": {"price": {"min": 0}},
    },
    "events": {
        "like": {"weight": 1},
        "watch": {"weight": 0.01, "weight_by": "value"},
        "finish": {"weight": 3, "when": {"dwell": {"min": 60}}},
        "hide": {"weight": -2},
    },
}


@dataclass
class World:
    """An endpoint, its signer and its stores.

    Args:
        settings: of the section feedback, besides the state.
    """

    folder: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    events: int = 0

    def __post_init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.signer = Signer({"k1": b"a key of sixteen"}, self.clock)
        jwks = self.folder / "jwks.json"
        secret = jwt.utils.base64url_encode(JWT_SECRET.encode()).decode()
        jwks.write_text(json.dumps({"keys": [{"kty": "oct", "kid": "s1", "k": secret}]}))
        raw = {"state": str(self.folder / "state.db"), "durability": "process", **self.settings}
        self.config = parse_section(FeedbackConfig, raw)
        self.queue = open_queue(self.config)
        self.state = open_state(self.config, self.clock)
        dataset = parse_section(DatasetConfig, DATASET)
        self.intake = Intake(dataset, self.config, self.queue, self.state, self.signer, self.clock)
        keys = Gatekeeper(keys_from_environment(), Tokens(jwks, "slate"))
        streams = [*map(events_stream, range(self.config.partitions)), QUARANTINE]
        metrics = Metrics(self.queue, streams, lambda: self.intake.quarantine.dropped)
        self.app = EventsApp(
            self.intake,
            keys,
            metrics,
            lambda: None,
            self.config.max_body_bytes,
            self.config.max_events,
        )

    def event(self, **changes: Any) -> dict[str, Any]:
        """A sound organic event with these fields changed; None leaves one out."""
        self.events += 1
        event = {
            "schema": 1,
            "event_id": f"e{self.events}",
            "user_id": "ann",
            "item_id": "i7",
            "event": "like",
            "timestamp": isoformat(self.clock.now()),
            **changes,
        }
        return {name: value for name, value in event.items() if value is not None}

    def outcome(self, user_id: str = "ann", **changes: Any) -> dict[str, Any]:
        """A sound outcome on a slate that was shown just now."""
        exposure = self.signer.sign(user_id, "r1", "stable", "rollout", "step")
        return self.event(user_id=user_id, **{"exposure_id": exposure, **changes})

    def later(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    def ask(
        self,
        path: str = "/v1/events",
        body: Any = None,
        key: str | None = SHOP,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One request; a body that is neither bytes nor absent goes as JSON."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {"content-type": "application/json", **(headers or {})}
        if key is not None:
            given["authorization"] = f"Bearer {key}"

        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://events") as client:
                return await client.request(method, path, content=content, headers=given)

        return asyncio.run(go())

    def records(self, stream: str = events_stream(0)) -> list[dict[str, Any]]:
        """What a stream holds."""
        return [json.loads(entry.record) for entry in self.queue.read(stream, 0, 100_000)]

    def close(self) -> None:
        self.intake.close()
        self.queue.close()
        self.state.close()


def token(**changes: Any) -> str:
    """A sound JSON Web Token with these claims changed; None leaves one out."""
    claims = {"sub": "widget", "aud": "slate", "exp": 4_000_000_000, "scope": "outcomes organic", **changes}
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, JWT_SECRET, "HS256", {"kid": "s1"})
