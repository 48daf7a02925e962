"""The endpoint over HTTP, as a bare ASGI application."""

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import asdict
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final
from urllib.parse import parse_qs

from slate.errors import SlateError
from slate.feedback.endpoint import keys
from slate.feedback.endpoint.intake import Intake
from slate.feedback.endpoint.keys import Gatekeeper
from slate.feedback.endpoint.metrics import Metrics
from slate.feedback.endpoint.reading import UnreadableError, parts_of
from slate.feedback.endpoint.refusal import RefusedError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Mapping[bytes, bytes]
Probe = Callable[[], None]

_log = logging.getLogger(__name__)

_JSON: Final = b"application/json"
_TEXT: Final = b"text/plain; version=0.0.4; charset=utf-8"
_PROBE_SECONDS: Final = 2.0


class _DisconnectedError(Exception):
    """The client went away before its request was whole."""


class EventsApp:
    """Answers ``/v1/events``, ``/v1/items``, ``/healthz``, ``/readyz`` and ``/metrics``.

    Args:
        probe: raises SlateError where the state cannot be reached.
        max_body_bytes: of one request; ``max_parts`` events or items are in it at most.
    """

    def __init__(
        self,
        intake: Intake,
        gatekeeper: Gatekeeper,
        metrics: Metrics,
        probe: Probe,
        max_body_bytes: int,
        max_parts: int,
    ) -> None:
        self._intake = intake
        self._gatekeeper = gatekeeper
        self._metrics = metrics
        self._probe = probe
        self._most = max_body_bytes
        self._parts = max_parts
        self.draining = False
        self._routes = {
            ("POST", "/v1/events"): self._post_events,
            ("POST", "/v1/items"): self._post_items,
            ("GET", "/v1/items"): self._get_items,
            ("GET", "/healthz"): self._alive,
            ("GET", "/readyz"): self._ready,
            ("GET", "/metrics"): self._show_metrics,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        extra: list[tuple[bytes, bytes]] = []
        kind = _JSON
        try:
            handler = self._handler(scope["method"], scope["path"])
            status, content = await handler(scope, dict(scope["headers"]), receive)
            if isinstance(content, bytes):
                body, kind = content, _TEXT
            else:
                body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        except _DisconnectedError:
            return
        except RefusedError as error:
            status, body = error.status, _error(str(error))
            if error.retry_after is not None:
                extra.append((b"retry-after", b"%d" % error.retry_after))
            if status == HTTPStatus.UNAUTHORIZED:
                extra.append((b"www-authenticate", b"Bearer"))
        except Exception as error:  # Whatever it is, the client gets an answer and keeps its connection.
            status, body = HTTPStatus.INTERNAL_SERVER_ERROR, _error(_incident(error))
        if scope["method"] == "POST":
            self._metrics.answered(status.value, perf_counter() - began)
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *extra]
        if self.draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status.value, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _handler(self, method: str, path: str) -> Callable[..., Awaitable[tuple[HTTPStatus, Any]]]:
        found = self._routes.get((method, path))
        if found is not None:
            return found
        known = [name for name, each in self._routes if each == path]
        if known:
            raise RefusedError(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"method: {method[:16]} is not understood here; send {known[0]}",
            )
        raise RefusedError(HTTPStatus.NOT_FOUND, "path: there is nothing here; events go to /v1/events")

    async def _post_events(
        self, _: Scope, headers: Headers, receive: Receive
    ) -> tuple[HTTPStatus, dict[str, Any]]:
        principal = self._gatekeeper.identify(headers)
        principal.needs(keys.OUTCOMES, keys.ORGANIC)
        body = await self._body(headers, receive)
        try:
            parts = parts_of(body, headers, self._parts)
        except UnreadableError as error:
            await asyncio.to_thread(self._intake.quarantine.put, [(str(error), body)])
            raise
        try:
            taken = await self._intake.events(parts, principal)
        except RefusedError:
            self._metrics.refused(len(parts))
            raise
        self._metrics.taken(taken)
        return HTTPStatus.ACCEPTED, asdict(taken)

    async def _post_items(
        self, _: Scope, headers: Headers, receive: Receive
    ) -> tuple[HTTPStatus, dict[str, Any]]:
        self._gatekeeper.identify(headers).needs(keys.ITEMS)
        parts = parts_of(await self._body(headers, receive), headers, self._parts)
        version, rejected = await self._intake.items(parts)
        accepted = len(parts) - len(rejected)
        self._metrics.items(accepted, len(rejected))
        told = [asdict(each) for each in rejected]
        return HTTPStatus.ACCEPTED, {"accepted": accepted, "version": version, "rejected": told}

    async def _get_items(self, scope: Scope, headers: Headers, _: Receive) -> tuple[HTTPStatus, Any]:
        self._gatekeeper.identify(headers).needs(keys.READ)
        text = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("after", ["0"])[0]
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "after: is no version; send a whole number from 0")
        return HTTPStatus.OK, {"items": await self._intake.read_items(int(text))}

    async def _alive(self, _: Scope, __: Headers, ___: Receive) -> tuple[HTTPStatus, Any]:
        return HTTPStatus.OK, {"status": "alive"}

    async def _ready(self, _: Scope, __: Headers, ___: Receive) -> tuple[HTTPStatus, Any]:
        if self.draining:
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "endpoint: goes down; ask another")
        try:
            await asyncio.wait_for(asyncio.to_thread(self._probe), _PROBE_SECONDS)
        except (SlateError, TimeoutError):
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE, "state: cannot be reached; look at the state's own log"
            ) from None
        return HTTPStatus.OK, {"ready": True}

    async def _show_metrics(self, _: Scope, __: Headers, ___: Receive) -> tuple[HTTPStatus, Any]:
        return HTTPStatus.OK, await asyncio.to_thread(self._metrics.text)

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        length = headers.get(b"content-length", b"")
        if length.isdigit() and (len(length) > 18 or int(length) > self._most):
            raise self._too_large()
        chunks, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _DisconnectedError
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._most:
                raise self._too_large()
            more = message.get("more_body", False)
        return b"".join(chunks)

    def _too_large(self) -> RefusedError:
        return RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"body: has more than {self._most} bytes; send fewer events at a time",
        )


def _error(message: str) -> bytes:
    return json.dumps({"error": message}).encode()


def _incident(error: Exception) -> str:
    """An id for the log and the client. Only the error's place is logged: its text may quote a request."""
    incident = uuid.uuid4().hex[:12]
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}")
        trace = trace.tb_next
    _log.error("unexpected %s %s at %s", type(error).__name__, incident, " > ".join(frames))
    return f"endpoint: unexpected error {incident}; the endpoint's log tells more under this id"
