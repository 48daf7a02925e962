"""The head of a request, read before anything else is: whether it is one plain request for slates."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from serving.assignment import VARIANT, assignment
from serving.parse import USER_HEADER
from serving.tensors import JSON_LENGTH_HEADER
from slate.recommend.request import Assignment

_END: Final = b"\r\n\r\n"
_EVENT: Final = b"application/cloudevents"
#: Of a head that is read here; longer ones take the usual way.
_LONGEST: Final = 2048
#: Of the length of a body; longer ones take the usual way, to be told that they are too large.
_DIGITS: Final = 6
#: Heads that are not read again: clients say the same again and again.
_REMEMBERED: Final = 512
#: A request line, then fields as RFC 9112 wants them: no folding, no blanks before a colon.
_WELL_FORMED: Final = re.compile(
    rb"POST [!-~]+ HTTP/1\.1\r\n(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)+"
)
#: Fields that say more than how long the body is: these requests take the usual way.
_UNUSUAL: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade"})
_USER: Final = USER_HEADER.encode()
_VARIANT: Final = VARIANT.encode()
_JSON_LENGTH: Final = JSON_LENGTH_HEADER.encode()


@dataclass(frozen=True)
class Given:
    """What is read from a request's headers."""

    user: bytes | None = None
    length: bytes | None = None
    json_length: bytes | None = None
    event: bool = False
    request: bytes | None = None
    assignment: Assignment | None = None


@dataclass(frozen=True)
class Plain:
    """One plain request: its path, its headers, where its body begins, and how much of that is missing."""

    path: str
    given: Given
    begins: int
    missing: int


def given(headers: list[tuple[bytes, bytes]]) -> Given:
    """What headers say, by their names in lower case; the last one of a name counts."""
    found: Mapping[bytes, bytes] = dict(headers)
    return Given(
        found.get(_USER),
        found.get(b"content-length"),
        found.get(_JSON_LENGTH),
        b"ce-specversion" in found or found.get(b"content-type", b"").startswith(_EVENT),
        found.get(b"x-request-id"),
        assignment(_texts(found)) if _VARIANT in found else None,
    )


def plain(data: bytes) -> Plain | None:
    """The one plain POST that these bytes begin with and do not go beyond; None if they are anything else.

    >>> plain(b"POST /a HTTP/1.1\\r\\nContent-Length: 2\\r\\n\\r\\n{}").missing
    0
    >>> plain(b"POST /a HTTP/1.1\\r\\nContent-Length: 30\\r\\n\\r\\n{}").missing
    28
    >>> plain(b"POST /a HTTP/1.1\\r\\nConnection: close\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
    """
    end = data.find(_END, 0, _LONGEST)
    head = _head(data[: end + 2]) if end >= 0 else None
    if head is None:
        return None
    path, said, length = head
    begins = end + len(_END)
    missing = begins + length - len(data)
    return Plain(path, said, begins, missing) if missing >= 0 else None


@lru_cache(_REMEMBERED)
def _head(head: bytes) -> tuple[str, Given, int] | None:
    """The path, what the headers say, and the length of the body."""
    if not _WELL_FORMED.fullmatch(head):
        return None
    line, *fields = head[:-2].split(b"\r\n")
    headers = []
    for field in fields:
        name, _, value = field.partition(b":")
        headers.append((name.lower(), value.lstrip(b" \t")))
    names = [name for name, _ in headers]
    lengths = [value for name, value in headers if name == b"content-length"]
    if (
        len(lengths) != 1
        or not lengths[0].isdigit()
        or len(lengths[0]) > _DIGITS
        or not _UNUSUAL.isdisjoint(names)
        or any(value.lower() != b"keep-alive" for name, value in headers if name == b"connection")
    ):
        return None
    return line.split(b" ")[1].decode("ascii"), given(headers), int(lengths[0])


def _texts(headers: Mapping[bytes, bytes]) -> Callable[[str], str | None]:
    def text(name: str) -> str | None:
        value = headers.get(name.encode())
        return None if value is None else value.decode("latin-1")

    return text
