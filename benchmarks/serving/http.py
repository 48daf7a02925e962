"""HTTP/1.1 as a load generator needs it: requests as bytes made ahead, answers cut out of a stream."""

from dataclasses import dataclass
from typing import Final, NamedTuple

_END: Final = b"\r\n\r\n"


class Answer(NamedTuple):
    """A whole answer; ``keep`` says whether its connection may be used again."""

    status: int
    body: bytes
    keep: bool


def request(path: str, body: bytes) -> bytes:
    """A POST of JSON."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass
class Reader:
    """Cuts answers out of what arrives, in any pieces.

    Raises:
        ValueError: an answer has no length, so its end cannot be seen.
    """

    _rest: bytes = b""

    def feed(self, data: bytes) -> Answer | None:
        """The answer, once it is whole. One request at a time is under way on a connection."""
        self._rest += data
        head, found, body = self._rest.partition(_END)
        if not found:
            return None
        lowered = head.lower()
        _, named, after = lowered.partition(b"\r\ncontent-length:")
        if not named:
            if b"transfer-encoding: chunked" not in lowered:
                raise ValueError(f"an answer without a length: {head[:200]!r}")
            whole = _unchunked(body)
            if whole is None:
                return None
            body = whole
        elif len(body) < int(after.partition(b"\r\n")[0]):
            return None
        self._rest = b""
        return Answer(int(head[9:12]), body, b"connection: close" not in lowered)


def _unchunked(data: bytes) -> bytes | None:
    """A chunked body put together; None while it is not whole."""
    parts, at = [], 0
    while (line := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:line].partition(b";")[0], 16)
        start, at = line + 2, line + 4 + size
        if len(data) < at:
            return None
        if size == 0:
            return b"".join(parts)
        parts.append(data[start : start + size])
    return None
