"""The hot paths of the HTTP protocols as bare ASGI, before KServe's own application.

Predict, infer, readiness and liveness are answered here, with the bodies, statuses and headers that
KServe's application would give; everything else goes through to it.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final, NamedTuple

import orjson
from kserve.metrics import PRE_HIST_TIME, PREDICT_HIST_TIME, get_labels

from serving.heads import Given, given
from serving.logs import REQUEST_ID
from serving.parse import header_user, load_json
from serving.refusal import InputError, Refusal, TooLargeError, WrongMethodError, refusal_of
from serving.service import Service, metadata
from serving.state import State
from serving.tensors import JSON_LENGTH_HEADER, from_body, to_body
from serving.tracing import Spans

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_JSON: Final = (b"content-type", b"application/json")
_OCTETS: Final = (b"content-type", b"application/octet-stream")
_ID: Final = 128
CLOSE: Final = (b"connection", b"close")


class _DisconnectedError(Exception):
    """The client went away before its request was whole."""


class Response(NamedTuple):
    """A whole answer."""

    status: HTTPStatus
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @classmethod
    def of(cls, status: HTTPStatus, body: bytes, *more: tuple[bytes, bytes]) -> "Response":
        """One of JSON, unless ``more`` headers begin with what it is."""
        kind = () if more and more[0][0] == _JSON[0] else (_JSON,)
        return cls(status, [(b"content-length", b"%d" % len(body)), *kind, *more], body)


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
            await self._send(send, Response.of(status, orjson.dumps(content)))
        else:
            await self._pass_on(scope, receive, send)

    async def respond(self, path: str, body: bytes, told: Given) -> Response:
        """Answer a POST to a hot path that is no CloudEvent; whatever happens, there is an answer."""
        _remember(told)
        endpoint = self._posts[path]
        try:
            response = await self._response(endpoint, body, told)
            if response is None:
                raise InputError("body", "is a CloudEvent", "send it with a content-type that says so")
        except Exception as error:
            return self._refusal(endpoint, error)
        return response

    async def _answer(self, endpoint: "_Endpoint", scope: Scope, receive: Receive, send: Send) -> None:
        told = given(scope["headers"])
        _remember(told)
        try:
            if scope["method"] != "POST":
                raise WrongMethodError("method", f"{scope['method']} is not understood here", "send POST")
            if told.event:
                await self._pass_on(scope, receive, send)
                return
            body = await self._body(receive, told.length)
            response = await self._response(endpoint, body, told)
            if response is None:
                await self._pass_on(scope, _again(body, receive), send)
                return
        except _DisconnectedError:
            return
        except Exception as error:  # Whatever it is, the client gets an answer and keeps its connection.
            response = self._refusal(endpoint, error)
        await self._send(send, response)

    async def _response(self, endpoint: "_Endpoint", body: bytes, told: Given) -> Response | None:
        answer = await endpoint.answer(body, told)
        if answer is None:
            return None
        self._state.answered(endpoint.name, 200)
        content, json_length = answer
        if json_length is None:
            return Response.of(HTTPStatus.OK, content)
        length = (JSON_LENGTH_HEADER.encode(), b"%d" % json_length)
        return Response.of(HTTPStatus.OK, content, _OCTETS, length)

    def _refusal(self, endpoint: "_Endpoint", error: Exception) -> Response:
        refusal = refusal_of(error)
        self._state.answered(endpoint.name, refusal.status)
        return _told(refusal)

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
                    message["headers"] = [*message["headers"], CLOSE]
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
                await self._send(send, _told(refusal_of(error)))

    async def _send(self, send: Send, response: Response) -> None:
        if self._state.draining:
            response.headers.append(CLOSE)
        start = {"type": "http.response.start", "status": response.status.value, "headers": response.headers}
        await send(start)
        await send({"type": "http.response.body", "body": response.body})

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

    async def answer(self, body: bytes, told: Given) -> tuple[bytes, int | None] | None:
        """The body of the answer and the length of its JSON if more follows; None: let KServe answer."""
        raise NotImplementedError


class _Predict(_Endpoint):
    """V1."""

    async def answer(self, body: bytes, told: Given) -> tuple[bytes, int | None] | None:
        began = perf_counter()
        parsed = load_json(body)
        if type(parsed) is dict and "specversion" in parsed:
            return None
        asked = self._service.read(parsed, header_user(told.user), told.assignment)
        read = perf_counter()
        self._reading.observe(read - began)
        answer = await self._service.answer(asked)
        self._predicting.observe(perf_counter() - read)
        return orjson.dumps(answer), None


class _Infer(_Endpoint):
    """V2, JSON and binary."""

    async def answer(self, body: bytes, told: Given) -> tuple[bytes, int | None] | None:
        began = perf_counter()
        length = None if told.json_length is None else told.json_length.decode("latin-1")
        inference = from_body(body, length)
        asked = self._service.read_tensors(inference, header_user(told.user), told.assignment)
        read = perf_counter()
        self._reading.observe(read - began)
        outputs, parameters = await self._service.answer_tensors(asked)
        self._predicting.observe(perf_counter() - read)
        return to_body(self.name, inference, outputs, parameters)


def _remember(told: Given) -> None:
    """For the log: which request the present task answers."""
    if told.request is not None:
        REQUEST_ID.set(told.request[:_ID].decode("latin-1"))


def _told(refusal: Refusal) -> Response:
    headers = [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
    return Response.of(refusal.status, orjson.dumps({"error": refusal.message}), *headers)


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
