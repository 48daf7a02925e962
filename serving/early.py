"""One plain request for a slate is answered from the bytes that came, before any framework sees them.

Under overload nearly all requests are refused, and a refusal that was parsed, routed and answered like any
request takes from those that could be answered. Where there is room, parsing and routing cost as much as
what the model server does of the answer itself. So a request that came whole, with a head that says nothing
unusual, is refused or answered here; everything else takes the usual way.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any, Final

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.fast import CLOSE, FastPath, Response
from serving.heads import Plain, plain
from serving.refusal import refusal_of
from serving.service import RECOMMENDER
from serving.state import State
from slate.recommend.engine import OverloadedError

_POSTS: Final = (
    f"POST /v1/models/{RECOMMENDER}:predict HTTP/1.1\r\n".encode(),
    f"POST /v2/models/{RECOMMENDER}/infer HTTP/1.1\r\n".encode(),
)
#: Bodies with these may be CloudEvents, which KServe's application answers; escapes could hide them.
_EVENTS: Final = (b"\\", b'"specversion"')
#: Refusals that are not put together again.
_REMEMBERED: Final = 512


def protocol(state: State, fast: FastPath) -> Callable[..., "EarlyAnswers"]:
    """What uvicorn makes its connections with."""
    return partial(EarlyAnswers, state, fast)


class _Cycle:
    """A request that is answered here, as uvicorn looks at one under way: it may go, or be told to close."""

    def __init__(self) -> None:
        self.response_complete = False
        self.disconnected = False
        self.keep_alive = True
        self.message_event = _NOBODY_WAITS


class _NobodyWaits:
    def set(self) -> None:
        """Nothing of the request is still to come."""


_NOBODY_WAITS: Final = _NobodyWaits()


class EarlyAnswers(HttpToolsProtocol):
    """Uvicorn's protocol, before which plain requests for slates are refused or answered."""

    def __init__(self, state: State, fast: FastPath, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._state = state
        self._fast = fast
        self._within = False
        self._owed = 0

    def data_received(self, data: bytes) -> None:
        if self._owed:
            # What was still to come of a body that is refused already.
            skipped = min(self._owed, len(data))
            self._owed -= skipped
            data = data[skipped:]
            if not data:
                return
        if not self._within and data.startswith(_POSTS) and not self._state.draining and self._idle():
            asked = plain(data)
            if asked is not None and (self._refused(asked) or self._answered(asked, data)):
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._within = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._within = False

    def _idle(self) -> bool:
        """Whether nothing is owed on this connection."""
        return not self.pipeline and (self.cycle is None or self.cycle.response_complete)

    def _refused(self, asked: Plain) -> bool:
        refused = self._state.engine.refuses(1)
        if refused is None:
            return False
        self._owed = asked.missing
        self._unset_keepalive_if_required()
        status, response = _refusal(str(refused), refused.retry_after, refused.draining)
        self._state.answered(RECOMMENDER, status)
        self.transport.write(response)
        return True

    def _answered(self, asked: Plain, data: bytes) -> bool:
        """Begin to answer what came whole; nobody listens in on it, and its client reads what it is sent."""
        if asked.missing or asked.given.event or self._state.spans is not None or self.flow.write_paused:
            return False
        body = data[asked.begins :]
        if len(body) > self._state.config.max_body_bytes or any(word in body for word in _EVENTS):
            return False
        self._unset_keepalive_if_required()
        cycle = _Cycle()
        self.cycle = cycle  # type: ignore[assignment]
        task = self.loop.create_task(self._answer(cycle, asked, body))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)
        return True

    async def _answer(self, cycle: _Cycle, asked: Plain, body: bytes) -> None:
        try:
            response = await self._fast.respond(asked.path, body, asked.given)
        except BaseException:
            # Only where the server ends: whatever else happens has an answer.
            self.transport.close()
            raise
        cycle.response_complete = True
        if cycle.disconnected or self.transport.is_closing():
            return
        close = self._state.draining or not cycle.keep_alive
        self.transport.write(_bytes(response, self.server_state.default_headers, close=close))
        if close:
            self.transport.close()
        self.on_response_complete()


def _bytes(response: Response, usual: list[tuple[bytes, bytes]], *, close: bool) -> bytes:
    content = [_line(response.status)]
    for name, value in (*usual, *response.headers):
        content += (name, b": ", value, b"\r\n")
    if close:
        content += (CLOSE[0], b": ", CLOSE[1], b"\r\n")
    content += (b"\r\n", response.body)
    return b"".join(content)


@lru_cache
def _line(status: HTTPStatus) -> bytes:
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()


@lru_cache(_REMEMBERED)
def _refusal(message: str, retry_after: float, draining: bool) -> tuple[int, bytes]:
    refusal = refusal_of(OverloadedError(message, retry_after, draining=draining))
    headers = [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
    response = Response.of(refusal.status, orjson.dumps({"error": refusal.message}), *headers)
    return refusal.status.value, _bytes(response, [], close=False)
