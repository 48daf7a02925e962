"""Requests for slates that are refused by their first bytes, over real connections."""

import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from serving.early import missing_of
from tests.serving.conftest import Served

PREDICT = "/v1/models/recommender:predict"
ASKED = {"instances": [{"user_id": "p1", "k": 2}]}


def score(served: Served, user: str) -> None:
    """The ranker is asked; nothing of it is refused early."""
    body = {"instances": [{"user_id": user, "item_ids": ["1"]}]}
    assert httpx.post(f"{served.url}/v1/models/ranker:predict", json=body, timeout=60).is_success


@pytest.fixture
def full(served: Served) -> Iterator[Served]:
    score(served, "test:full")
    yield served
    score(served, "test:room")


def test_what_there_is_no_room_for_is_refused_and_the_connection_goes_on(full: Served) -> None:
    with httpx.Client(base_url=full.url, timeout=60) as client:
        v2 = {"inputs": [{"name": "user_id", "shape": [1], "datatype": "BYTES", "data": ["p1"]}]}
        for path, body in ((PREDICT, ASKED), ("/v2/models/recommender/infer", v2)):
            refused = client.post(path, json=body)
            assert refused.status_code == 429
            assert refused.json() == {"error": "server: no room for 1; ask again later"}
            assert refused.headers["retry-after"] == "2"
            assert refused.headers["content-type"] == "application/json"
        score(full, "test:room")
        assert len(client.post(PREDICT, json=ASKED).json()["predictions"][0]["items"]) == 2


def raw(served: Served, *parts: bytes) -> bytes:
    """What comes back on one connection for bytes sent in parts."""
    port = httpx.URL(served.url).port
    with socket.create_connection(("127.0.0.1", port or 0), timeout=60) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(0.1)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while more := connection.recv(65_536):
            answer += more
    return answer


def request(body: bytes, *headers: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = [
        b"POST /v1/models/recommender:predict HTTP/1.1",
        b"host: x",
        b"content-length: %d" % size,
        *headers,
    ]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


BODY = b'{"instances":[{"user_id":"p1","k":1}]}'


def test_what_is_not_one_plain_request_takes_the_usual_way(full: Served) -> None:
    usual = ((request(BODY)[:40], request(BODY)[40:]), (request(BODY, b"connection: close"),))
    for parts in usual:
        assert raw(full, *parts).startswith(b"HTTP/1.1 200"), parts
    assert raw(full, request(BODY) * 2).count(b"HTTP/1.1 200") == 2, "pipelined"
    assert raw(full, request(BODY)).startswith(b"HTTP/1.1 429")
    late = raw(full, request(BODY)[:-9], request(BODY)[-9:] + request(BODY))
    assert late.count(b"HTTP/1.1 429") == 2, "the rest of a refused body is no request"
    assert raw(full, request(BODY, b"Connection: keep-alive")).startswith(b"HTTP/1.1 429")


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
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1x\r\n\r\n",
    ],
)
def test_such_bytes_are_not_taken_for_one_request(data: bytes) -> None:
    assert missing_of(request(BODY)) == 0
    assert missing_of(request(BODY)[:-3]) == 3
    assert missing_of(data) is None
