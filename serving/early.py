"""Refuse before reading: what is too much costs next to nothing.

Under overload nearly all requests are refused, and a refusal that was parsed, routed and answered like any
request takes from those that could be answered. So where the engine would refuse a slate now, the bytes of a
request for one are answered as they come, by a look at their head.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Final

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.refusal import refusal_of
from serving.service import RECOMMENDER
from serving.state import State
from slate.recommend.engine import OverloadedError

_POSTS: Final = (
    f"POST /v1/models/{RECOMMENDER}:predict HTTP/1.1\r\n".encode(),
    f"POST /v2/models/{RECOMMENDER}/infer HTTP/1.1\r\n".encode(),
)
_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\ncontent-length:"
#: Heads that say more than how long the body is: these requests take the usual way.
_UNUSUAL: Final = (b"\r\ntransfer-encoding:", b"\r\nexpect:", b"\r\nconnection:", b"\r\nupgrade:")
#: Of the length of a body; longer ones take the usual way, to be told that they are too large.
_DIGITS: Final = 6
#: Heads, and refusals, that are not put together again.
_REMEMBERED: Final = 512
_USUAL_CONNECTION: Final = b"\r\nconnection: keep-alive\r\n"


def protocol(state: State) -> Callable[..., "EarlyRefusals"]:
    """What uvicorn makes its connections with."""
    return partial(EarlyRefusals, state)


class EarlyRefusals(HttpToolsProtocol):
    """Uvicorn's protocol, before which requests for slates are refused while there are too many."""

    def __init__(self, state: State, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._state = state
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
        if not self._within and data.startswith(_POSTS) and self._idle():
            missing = missing_of(data)
            if missing is not None and not self._state.draining:
                refused = self._state.engine.refuses(1)
                if refused is not None:
                    self._owed = missing
                    self._unset_keepalive_if_required()
                    status, response = _response(str(refused), refused.retry_after, refused.draining)
                    self._state.answered(RECOMMENDER, status)
                    self.transport.write(response)
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


def missing_of(data: bytes) -> int | None:
    """How many bytes are missing of the one request whose head this is; None if it is anything else.

    >>> missing_of(b"POST / HTTP/1.1\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
    0
    >>> missing_of(b"POST / HTTP/1.1\\r\\nContent-Length: 30\\r\\n\\r\\n{}")
    28
    >>> missing_of(b"POST / HTTP/1.1\\r\\nConnection: close\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
    """
    end = data.find(_END)
    if end < 0:
        return None
    length = _length(data[: end + 2])
    if length is None:
        return None
    missing = end + len(_END) + length - len(data)
    return missing if missing >= 0 else None


@lru_cache(_REMEMBERED)
def _length(head: bytes) -> int | None:
    """The length of a body, None where the head says more than that; clients say the same again and again."""
    head = head.lower().replace(_USUAL_CONNECTION, b"\r\n", 1)
    if any(word in head for word in _UNUSUAL):
        return None
    _, found, after = head.partition(_LENGTH)
    length = after.partition(b"\r\n")[0].strip()
    if not found or _LENGTH in after or not length.isdigit() or len(length) > _DIGITS:
        return None
    return int(length)


@lru_cache(_REMEMBERED)
def _response(message: str, retry_after: float, draining: bool) -> tuple[int, bytes]:
    refusal = refusal_of(OverloadedError(message, retry_after, draining=draining))
    body = orjson.dumps({"error": refusal.message})
    again = "".join(f"{name}: {value}\r\n" for name, value in refusal.headers.items())
    head = (
        f"HTTP/1.1 {refusal.status.value} {refusal.status.phrase}\r\ncontent-length: {len(body)}\r\n"
        f"content-type: application/json\r\n{again}\r\n"
    )
    return refusal.status.value, head.encode("latin-1") + body
