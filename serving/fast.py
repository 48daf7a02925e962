"""The hot paths of the HTTP protocols as bare ASGI, before KServe's own application.

Predict, infer, readiness and liveness are answered here, with the bodies, statuses and headers that
KServe's application would give; everything else goes through to it.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final

import orjson
from kserve.metrics import PRE_HIST_TIME, PREDICT_HIST_TIME, get_labels

from serving.assignment import VARIANT, assignment
from serving.logs import REQUEST_ID
from serving.parse import USER_HEADER, header_user, load_json
from serving.refusal import Refusal, TooLargeError, WrongMethodError, refusal_of
from serving.service import Service, metadata
from serving.state import State
from serving.tensors import JSON_LENGTH_HEADER, from_body, to_body
from serving.tracing import Spans
from slate.recommend.request import Assignment

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_JSON: Final = (b"content-type", b"application/json")
_OCTETS: Final = (b"content-type", b"application/octet-stream")
_ID: Final = 128
_CLOSE: Final = (b"connection", b"close")
_EVENT: Final = b"application/cloudevents"


class _DisconnectedError(Exception):
    """The client went away before its request was whole."""


@dataclass(frozen=True)
class _Given:
    """What is read from a request's headers."""

    user: bytes | None = None
    length: bytes | None = None
    json_length: bytes | None = None
    event: bool = False
    request: bytes | None = None
    assignment: Assignment | None = None


class FastPath:
    """An ASGI application in front of another.

    Args:
        fallback: KServe's application.
        state: the engine and its models.
    """

    def __init__(self, fallback: App, state: State) -> None:
        self._fallback = fallback
        self._state = state
        self._spans = state.spans
        self._most = state.config.max_body_bytes
        self._posts: dict[str, _Endpoint] = {}
        self._gets: dict[str, Callable[[], tuple[HTTPStatus, Any]]] = {
            "/": lambda: (HTTPStatus.OK, {"status": "alive"}),
            "/v2/health/live": lambda: (HTTPStatus.OK, {"live": True}),
            "/v2/health/ready": self._server_ready,
        }
        for name, service in state.services.items():
            self._posts[f"/v1/models/{name}:predict"] = _Predict(service)
            self._posts[f"/v2/models/{name}/infer"] = _Infer(service)
            self._gets[f"/v1/models/{name}"] = self._model_ready(name)
            self._gets[f"/v2/models/{name}/ready"] = self._model_ready(name)
            self._gets[f"/v2/models/{name}"] = self._metadata(service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._fallback(scope, receive, send)
        elif (endpoint := self._posts.get(scope["path"])) is not None:
            if self._spans is None:
                await self._answer(endpoint, scope, receive, send)
            else:
                await self._traced(self._spans, endpoint, scope, receive, send)
        elif scope["method"] == "GET" and scope["path"] in self._gets:
            status, content = self._gets[scope["path"]]()
            await self._send(send, status, orjson.dumps(content))
        else:
            await self._pass_on(scope, receive, send)

    async def _answer(self, endpoint: "_Endpoint", scope: Scope, receive: Receive, send: Send) -> None:
        given = _given(scope["headers"])
        if given.request is not None:
            REQUEST_ID.set(given.request[:_ID].decode("latin-1"))
        try:
            if scope["method"] != "POST":
                raise WrongMethodError("method", f"{scope['method']} is not understood here", "send POST")
            if given.event:
                await self._pass_on(scope, receive, send)
                return
            body = await self._body(receive, given.length)
            answer = await endpoint.answer(body, given)
            if answer is None:
                await self._pass_on(scope, _again(body, receive), send)
                return
        except _DisconnectedError:
            return
        except Exception as error:  # Whatever it is, the client gets an answer and keeps its connection.
            refusal = refusal_of(error)
            self._state.answered(endpoint.name, refusal.status)
            await self._refuse(send, refusal)
            return
        self._state.answered(endpoint.name, 200)
        content, json_length = answer
        if json_length is None:
            await self._send(send, HTTPStatus.OK, content)
        else:
            length = (JSON_LENGTH_HEADER.encode(), b"%d" % json_length)
            await self._send(send, HTTPStatus.OK, content, _OCTETS, length)

    async def _traced(
        self, spans: Spans, endpoint: "_Endpoint", scope: Scope, receive: Receive, send: Send
    ) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with spans.request(f"{scope['method']} {scope['path']}", endpoint.name, headers) as span:
            told = [(name.encode(), value.encode()) for name, value in span.headers.items()]

            async def telling(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.status(message["status"])
                    message["headers"] = [*message["headers"], *told]
                await send(message)

            await self._answer(endpoint, scope, receive, telling)

    async def _body(self, receive: Receive, length: bytes | None) -> bytes:
        if length is not None and len(length) < 20 and int(length) > self._most:
            raise self._too_large(length.decode())
        message = await receive()
        body: bytes = message.get("body", b"")
        while message.get("more_body"):
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._most:
                raise self._too_large(f"more than {self._most}")
        if message["type"] == "http.disconnect":
            raise _DisconnectedError
        return body

    def _too_large(self, size: str) -> TooLargeError:
        return TooLargeError("body", f"has {size} bytes", f"send at most {self._most}")

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let KServe answer, within the same limit, and keep the connection if it fails."""
        started = finished = False
        size = 0

        async def bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._most:
                raise self._too_large(f"more than {self._most}")
            return message

        async def watched(message: Message) -> None:
            nonlocal started, finished
            if message["type"] == "http.response.start":
                started = True
                if self._state.draining:
                    message["headers"] = [*message["headers"], _CLOSE]
            else:
                finished = not message.get("more_body", False)
            await send(message)

        try:
            await self._fallback(scope, bounded, watched)
        except Exception as error:
            # KServe's application has answered already when it passes an unexpected error on.
            if started and not finished:
                raise
            if not started:
                await self._refuse(send, refusal_of(error))

    async def _refuse(self, send: Send, refusal: Refusal) -> None:
        extra = [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
        await self._send(send, refusal.status, orjson.dumps({"error": refusal.message}), _JSON, *extra)

    async def _send(
        self,
        send: Send,
        status: HTTPStatus,
        body: bytes,
        kind: tuple[bytes, bytes] = _JSON,
        *extra: tuple[bytes, bytes],
    ) -> None:
        headers = [(b"content-length", b"%d" % len(body)), kind, *extra]
        if self._state.draining:
            headers.append(_CLOSE)
        await send({"type": "http.response.start", "status": status.value, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _server_ready(self) -> tuple[HTTPStatus, Any]:
        if self._state.ready:
            return HTTPStatus.OK, {"ready": True}
        return HTTPStatus.SERVICE_UNAVAILABLE, {"error": "Server is not ready."}

    def _model_ready(self, name: str) -> Callable[[], tuple[HTTPStatus, Any]]:
        def answer() -> tuple[HTTPStatus, Any]:
            if self._state.ready:
                return HTTPStatus.OK, {"name": name, "ready": True}
            return HTTPStatus.SERVICE_UNAVAILABLE, {"error": f"Model with name {name} is not ready."}

        return answer

    @staticmethod
    def _metadata(service: Service) -> Callable[[], tuple[HTTPStatus, Any]]:
        return lambda: (HTTPStatus.OK, metadata(service))


class _Endpoint:
    """One model by one protocol, timed as KServe times it."""

    def __init__(self, service: Service) -> None:
        self.name = service.name
        self._service: Any = service
        self._reading = PRE_HIST_TIME.labels(**get_labels(service.name))
        self._predicting = PREDICT_HIST_TIME.labels(**get_labels(service.name))

    async def answer(self, body: bytes, given: _Given) -> tuple[bytes, int | None] | None:
        """The body of the answer and the length of its JSON if more follows; None: let KServe answer."""
        raise NotImplementedError


class _Predict(_Endpoint):
    """V1."""

    async def answer(self, body: bytes, given: _Given) -> tuple[bytes, int | None] | None:
        began = perf_counter()
        parsed = load_json(body)
        if type(parsed) is dict and "specversion" in parsed:
            return None
        asked = self._service.read(parsed, header_user(given.user), given.assignment)
        read = perf_counter()
        self._reading.observe(read - began)
        answer = await self._service.answer(asked)
        self._predicting.observe(perf_counter() - read)
        return orjson.dumps(answer), None


class _Infer(_Endpoint):
    """V2, JSON and binary."""

    async def answer(self, body: bytes, given: _Given) -> tuple[bytes, int | None] | None:
        began = perf_counter()
        length = None if given.json_length is None else given.json_length.decode("latin-1")
        inference = from_body(body, length)
        asked = self._service.read_tensors(inference, header_user(given.user), given.assignment)
        read = perf_counter()
        self._reading.observe(read - began)
        outputs, parameters = await self._service.answer_tensors(asked)
        self._predicting.observe(perf_counter() - read)
        return to_body(self.name, inference, outputs, parameters)


_USER: Final = USER_HEADER.encode()
_VARIANT: Final = VARIANT.encode()
_JSON_LENGTH: Final = JSON_LENGTH_HEADER.encode()


def _given(headers: list[tuple[bytes, bytes]]) -> _Given:
    found: Mapping[bytes, bytes] = dict(headers)
    return _Given(
        found.get(_USER),
        found.get(b"content-length"),
        found.get(_JSON_LENGTH),
        b"ce-specversion" in found or found.get(b"content-type", b"").startswith(_EVENT),
        found.get(b"x-request-id"),
        assignment(_texts(found)) if _VARIANT in found else None,
    )


def _texts(headers: Mapping[bytes, bytes]) -> Callable[[str], str | None]:
    def text(name: str) -> str | None:
        value = headers.get(name.encode())
        return None if value is None else value.decode("latin-1")

    return text


def _again(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives a body that was read already, once."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
