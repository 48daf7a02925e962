"""All that a user's application knows of the platform: two addresses and a key."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from slate.clock import Clock, isoformat
from slate.simulation.tastes import Action
from slate.simulation.visits import Visit

_PREDICT: Final = "/v1/models/recommender:predict"
_EVENTS: Final = "/v1/events"
_USER_HEADER: Final = "x-slate-user-id"
_LATER: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_TRIES: Final = 4
_PAUSE: Final = 0.5


@dataclass(frozen=True)
class Shown:
    """What a user sees of an answer: items in their order. The exposure id goes back with what is done."""

    item_ids: tuple[str, ...]
    exposure_id: str | None


@dataclass(frozen=True)
class Address:
    """Where a stack is; ``key`` may send outcomes."""

    gateway: str
    events: str
    key: str


class Client:
    """Asks for slates and tells what was done, over HTTP.

    Args:
        timeout_s: real seconds after which an answer is given up.
        run: makes the ids of events differ from those of other runs against the same endpoint.
    """

    def __init__(self, address: Address, clock: Clock, run: str, timeout_s: float = 10.0) -> None:
        self._address, self._clock, self._run = address, clock, run
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=self._timeout, trust_env=False
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, user_id: str) -> Shown | None:
        """A slate; None where there was no good answer."""
        try:
            async with self._open.post(
                f"{self._address.gateway}{_PREDICT}",
                json={"instances": [{}]},
                headers={_USER_HEADER: user_id},
            ) as answer:
                return _shown(await answer.json()) if answer.status == HTTPStatus.OK else None
        except (aiohttp.ClientError, TimeoutError, ValueError, LookupError, TypeError):
            return None

    async def tell(self, visit: Visit, shown: Shown, actions: Sequence[Action]) -> bool:
        """Send what a user did with a slate; whether all of it was accepted."""
        if not actions or shown.exposure_id is None:
            return not actions
        now = isoformat(self._clock.now())
        events = [
            {
                "schema": 1,
                "event_id": f"{self._run}-{visit.user_id}-{visit.number}-{action.item_id}-{action.event}",
                "user_id": visit.user_id,
                "item_id": action.item_id,
                "event": action.event,
                "timestamp": now,
                "exposure_id": shown.exposure_id,
            }
            for action in actions
        ]
        for _ in range(_TRIES):
            accepted = await self._send(events)
            if accepted is not None:
                return accepted == len(events)
            await asyncio.sleep(_PAUSE)
        return False

    async def _send(self, events: list[dict[str, Any]]) -> int | None:
        """How many were accepted; None where it may be tried again."""
        headers = {"authorization": f"Bearer {self._address.key}"}
        try:
            async with self._open.post(
                f"{self._address.events}{_EVENTS}", json=events, headers=headers
            ) as answer:
                if answer.status in _LATER:
                    return None
                if answer.status != HTTPStatus.ACCEPTED:
                    return 0
                told = await answer.json()
                return int(told["accepted"]) + int(told["duplicates"])
        except (aiohttp.ClientError, TimeoutError):
            return None

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the client is not open; use it in 'async with'")
        return self._session


def _shown(body: Any) -> Shown:
    """Of all that an answer holds, items and exposure id alone: who made it stays unknown."""
    (slate,) = body["predictions"]
    return Shown(tuple(item["item_id"] for item in slate["items"]), slate["exposure_id"])
