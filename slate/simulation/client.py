"""All that a user's application knows of the platform: two addresses and a key."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
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
_NO_SLATE: Final = (aiohttp.ClientError, TimeoutError, ValueError, LookupError, TypeError)


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
            slate = await self._slate(user_id)
            return Shown(tuple(item["item_id"] for item in slate["items"]), slate["exposure_id"])
        except _NO_SLATE:
            return None

    async def answered_by(self, user_id: str) -> str | None:
        """The release that answers, which no user looks at; None where there was no good answer."""
        try:
            return str((await self._slate(user_id))["release_id"])
        except _NO_SLATE:
            return None

    async def _slate(self, user_id: str) -> dict[str, Any]:
        async with self._open.post(
            f"{self._address.gateway}{_PREDICT}",
            json={"instances": [{}]},
            headers={_USER_HEADER: user_id},
            raise_for_status=True,
        ) as answer:
            (slate,) = (await answer.json())["predictions"]
            return dict(slate)

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
        return await self._sent(events) == len(events)

    async def tell_elsewhere(self, done: Sequence[tuple[str, str, str]], first: int) -> int:
        """Send what was done without a slate: user, item and event of each; how many were accepted.

        ``first`` is the number of the first one, which its id is made of. Their order is kept in time.
        """
        now = self._clock.now()
        events = [
            {
                "schema": 1,
                "event_id": f"{self._run}-elsewhere-{now:%H%M%S%f}-{first + place}",
                "user_id": user_id,
                "item_id": item_id,
                "event": event,
                "timestamp": isoformat(now + timedelta(microseconds=place)),
            }
            for place, (user_id, item_id, event) in enumerate(done)
        ]
        return await self._sent(events)

    async def _sent(self, events: list[dict[str, Any]]) -> int:
        """Send them again and again, a few times, until there is an answer; how many were accepted."""
        for _ in range(_TRIES):
            accepted = await self._send(events)
            if accepted is not None:
                return accepted
            await asyncio.sleep(_PAUSE)
        return 0

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
