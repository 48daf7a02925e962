"""Requests for slates that are refused or answered by their first bytes, over real connections."""

import re
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

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


def raw(served: Served, *parts: bytes, seconds: float = 0.1) -> bytes:
    """What comes back on one connection for bytes sent in parts."""
    port = httpx.URL(served.url).port
    with socket.create_connection(("127.0.0.1", port or 0), timeout=60) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(seconds)
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


V1 = b"/v1/models/recommender:predict"
V2 = b"/v2/models/recommender/infer"
TENSOR = b'{"inputs":[{"name":"user_id","shape":[1],"datatype":"BYTES","data":["p1"]}]}'
CONTEXT = b'"context":{"timestamp":"2024-02-06T12:00:00Z","surface":"tv"}'


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        (V1, b'{"instances":[{"user_id":"p1","k":2,%s}]}' % CONTEXT, (), 200),
        (V1, b'{"instances":[{"k":2,%s}]}' % CONTEXT, (b"X-Slate-User-Id:  p2 ",), 200),
        (V1, b'{"instances":[{%s},{"k":3,%s}]}' % (CONTEXT, CONTEXT), (b"connection: keep-alive",), 200),
        (V1, b'{"instances":[{"user_id":"p1","k":0}]}', (b"x-request-id: r1",), 400),
        (V1, b'{"instances":[{"user_id":"\\u0070","k":2,%s}]}' % CONTEXT, (), 200),
        (V1, b'{"specversion":"1.0"}', (), 400),
        (V1, b'{"instances":[{"user_id":"test:overloaded"}]}', (), 429),
        (V1, b"{", (), 400),
        (V1, b"", (), 400),
        (V2, b'{"id":"7",' + TENSOR[1:-1] + b',"parameters":{"k":2}}', (), 200),
        (V2, b'{"id":"7",' + TENSOR[1:-1] + b',"parameters":{"k":-1}}', (), 400),
    ],
)
def test_one_piece_is_answered_as_many_are(
    served: Served, path: bytes, body: bytes, headers: tuple[bytes, ...], status: int
) -> None:
    whole = request(body, *headers).replace(V1, path, 1)
    at = whole.index(b"\r\n\r\n") + 2
    # The second may be another by then.
    one, many = (
        re.sub(rb"date: .*", b"date", answer)
        for answer in (raw(served, whole), raw(served, whole[:at], whole[at:]))
    )
    assert one == many
    assert one.startswith(b"HTTP/1.1 %d" % status)


def test_what_comes_while_one_is_answered_is_answered_next(served: Served) -> None:
    users = [b"test:slow", b"p2", b"p1"]
    port = httpx.URL(served.url).port
    answer = b""
    with socket.create_connection(("127.0.0.1", port or 0), timeout=60) as connection:
        for user in users:
            connection.sendall(request(b'{"instances":[{"user_id":"%s","k":1}]}' % user))
            time.sleep(0.05)
        while answer.count(b'"exposure_id"') < 3:
            more = connection.recv(65_536)
            assert more, answer
            answer += more
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert re.findall(rb'"user_id":"([^"]*)"', answer) == users


def test_a_client_that_goes_away_disturbs_nobody(served: Served) -> None:
    port = httpx.URL(served.url).port
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port or 0), timeout=60) as connection:
            connection.sendall(request(b'{"instances":[{"user_id":"test:slow","k":1}]}'))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    assert raw(served, request(BODY)).startswith(b"HTTP/1.1 200")
