"""Heads that are read before anything else: what is one plain request, and what is anything else."""

import pytest

from serving.heads import Given, plain

BODY = b'{"instances":[{"user_id":"p1","k":1}]}'


def request(body: bytes, *headers: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = [b"POST /a HTTP/1.1", b"host: x", b"content-length: %d" % size, *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def test_what_a_head_says() -> None:
    said = plain(
        request(
            b"{}",
            b"X-Slate-User-Id: \t p\xc3\xa9",
            b"X-Request-Id:r1",
            b"x-slate-variant: candidate",
            b"x-slate-bucket: 17",
            b"connection: Keep-Alive",
        )
    )
    assert said is not None
    assert said.path == "/a"
    assert (said.given.user, said.given.request, said.given.length) == (b"p\xc3\xa9", b"r1", b"2")
    assert said.given.assignment is not None
    assert (said.given.assignment.variant, said.given.assignment.bucket) == ("candidate", 17)
    assert not said.given.event


@pytest.mark.parametrize("header", [b"ce-specversion: 1.0", b"content-type: application/cloudevents+json"])
def test_an_event_is_known_by_its_head(header: bytes) -> None:
    said = plain(request(BODY, header))
    assert said is not None
    assert said.given.event


def test_what_is_missing_of_a_body() -> None:
    whole = request(BODY)
    for missing in (0, 3, len(BODY)):
        said = plain(whole[: len(whole) - missing])
        assert said is not None
        assert said.missing == missing
        assert whole[said.begins :] == BODY
        assert said.given == Given(length=b"%d" % len(BODY))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"POST / HTTP/1.1\r\n",
        request(BODY) + b"P",
        request(BODY, length=10**12),
        request(BODY, b"Content-Length: 3"),
        request(BODY, b"Transfer-Encoding: chunked"),
        request(BODY, b"Expect: 100-continue"),
        request(BODY, b"Upgrade: h2c"),
        request(BODY, b"connection: keep-alive", b"connection: close"),
        request(BODY, b"connection: keep-alive, upgrade"),
        request(BODY, b"x : 1"),
        request(BODY, b"x: 1", b" folded"),
        request(BODY, b"x: \x00"),
        request(BODY, b"x: 1\n2"),
        request(BODY, b"no colon"),
        request(BODY, b"x: " + 2048 * b"a"),
        request(BODY).replace(b"/a", b"/ a"),
        request(BODY).replace(b"1.1", b"1.0"),
        b"POST / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1x\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length:\r\n\r\n",
    ],
)
def test_such_bytes_are_not_taken_for_one_plain_request(data: bytes) -> None:
    assert plain(data) is None
