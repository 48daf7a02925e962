"""The fast path answers as KServe's own application would: status, headers and body, asked side by side."""

import re
from typing import Any

import httpx
import orjson
import pytest

from serving.tensors import JSON_LENGTH_HEADER
from tests.serving.conftest import Served

GOOD = b'{"name": "user_id", "shape": [1], "datatype": "BYTES", "data": ["a"]}'
PREDICT = "/v1/models/recommender:predict"
RANK = "/v1/models/ranker:predict"
INFER = "/v2/models/recommender/infer"
AT = {"timestamp": "2024-02-06T12:00:00Z", "surface": "tv"}


def v1(instance: Any, **headers: str) -> tuple[str, str, bytes, dict[str, str]]:
    return "POST", PREDICT, orjson.dumps({"instances": [instance]}), headers


def v2(users: list[str], outputs: Any = None, **parameters: Any) -> tuple[str, str, bytes, dict[str, str]]:
    body: dict[str, Any] = {
        "id": "7",
        "inputs": [{"name": "user_id", "shape": [len(users)], "datatype": "BYTES", "data": users}],
        "parameters": {"context": orjson.dumps(AT).decode(), **parameters},
    }
    if outputs is not None:
        body["outputs"] = outputs
    return "POST", INFER, orjson.dumps(body), {"content-type": "application/json"}


def binary(model: str, users: bytes, size: int | None = None) -> tuple[str, str, bytes, dict[str, str]]:
    entry = {
        "name": "user_id",
        "shape": [1],
        "datatype": "BYTES",
        "parameters": {"binary_data_size": len(users) if size is None else size},
    }
    context = orjson.dumps(AT).decode()
    head = orjson.dumps(
        {"id": "8", "inputs": [entry], "parameters": {"context": context, "binary_data_output": True}}
    )
    headers = {
        "content-type": "application/octet-stream",
        JSON_LENGTH_HEADER: str(len(head)),
    }
    return "POST", f"/v2/models/{model}/infer", head + users, headers


SEEN = {"item_id": "film 03, é", "event": "watch", "timestamp": "2024-02-01T00:00:00Z"}
EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"}

SAME = {
    "slate": v1({"user_id": "p1", "k": 3, "context": AT}),
    "everything": v1(
        {
            "user_id": "p1",
            "k": 3,
            "context": AT,
            "explain": True,
            "exclude": ["film 01, é", "none"],
            "history": [
                "film 02, é",
                {"item_id": "film 03, é", "event": "watch", "timestamp": "2024-02-01T00:00:00Z"},
            ],
            "deadline_ms": 500,
        }
    ),
    "header": v1({"k": 2, "context": AT}, **{"x-slate-user-id": "p2"}),
    "form": v1({"k": 2, "context": AT}, **{"content-type": "application/x-www-form-urlencoded"}),
    "rank": ("POST", RANK, orjson.dumps({"instances": [{"item_ids": ["film 01, é"], "context": AT}]}), {}),
    "tensors": v2(["p1", ""], k=3),
    "some tensors": v2(["p1"], outputs=[{"name": "length"}, {"name": "item_id"}]),
    "a binary tensor": v2(["p1"], outputs=[{"name": "score", "parameters": {"binary_data": True}}]),
    "binary": binary("recommender", b"\x02\x00\x00\x00p1"),
    "event": v1({"user_id": "p1", "context": AT}, **EVENT),
    "empty event": ("POST", PREDICT, b"", EVENT),
    "two users": v1({"user_id": "p1"}, **{"x-slate-user-id": "p2"}),
    "k": v1({"k": 0}),
    "not JSON": ("POST", PREDICT, b"{", {}),
    "no body": ("POST", PREDICT, b"", {}),
    "no instances": ("POST", PREDICT, b"{}", {}),
    "overload": v1({"user_id": "test:overloaded"}),
    "draining": v1({"user_id": "test:draining"}),
    "not ready": v1({"user_id": "test:unready"}),
    "broken": v1({"user_id": "test:broken"}),
    "broken by tensors": v2(["test:broken"]),
    "no such output": v2(["p1"], outputs=[{"name": "scores"}]),
    "tensor option": v2(["p1"], kk=3),
    "tensor k": v2(["p1"], k=0),
    "tensor text": v2(["p1"], history="[1"),
    "cut binary": binary("recommender", b"\x09\x00\x00\x00p1"),
    "short binary": binary("recommender", b"\x02\x00\x00\x00p1", size=600),
    "no such model": ("POST", "/v1/models/other:predict", b"{}", {}),
    "no such model's tensors": ("POST", "/v2/models/other/infer", *v2(["p1"])[2:]),
    "no such page": ("GET", "/v3", b"", {}),
    "unload": ("POST", "/v2/repository/models/recommender/unload", b"", {}),
    "version": ("GET", "/v2/models/recommender/versions/1", b"", {}),
    "live": ("GET", "/v2/health/live", b"", {}),
    "root": ("GET", "/", b"", {}),
    "ready": ("GET", "/v2/health/ready", b"", {}),
    "model": ("GET", "/v1/models/recommender", b"", {}),
    "models": ("GET", "/v1/models", b"", {}),
    "other model": ("GET", "/v1/models/other", b"", {}),
    "model ready": ("GET", "/v2/models/ranker/ready", b"", {}),
    "metadata": ("GET", "/v2/models/ranker", b"", {}),
    "server": ("GET", "/v2", b"", {}),
}


def ask(url: str, request: tuple[str, str, bytes, dict[str, str]]) -> httpx.Response:
    method, path, body, headers = request
    return httpx.request(method, url + path, content=body, headers=headers, timeout=20)


def comparable(answer: httpx.Response) -> tuple[int, dict[str, str], object]:
    """Status, headers and body, without what differs from call to call: dates and incidents' ids."""
    volatile = {"date", "ce-id", "ce-time"}
    if JSON_LENGTH_HEADER in answer.headers:
        # KServe frames binary answers by chunks, and leaves their type out.
        volatile |= {"content-length", "content-type", "transfer-encoding"}
    headers = {name: value for name, value in answer.headers.items() if name not in volatile}
    body: object = re.sub(rb"error [0-9a-f]{12};", b"error;", answer.content)
    if "json" in headers.get("content-type", "") and JSON_LENGTH_HEADER not in headers:
        body = orjson.loads(body)  # type: ignore[arg-type]
    return answer.status_code, headers, body


@pytest.mark.parametrize("name", SAME)
def test_both_paths_answer_the_same(served: Served, name: str) -> None:
    fast, plain = (comparable(ask(url, SAME[name])) for url in (served.url, served.plain))
    assert fast == plain


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("slate", 200),
        ("tensors", 200),
        ("binary", 200),
        ("event", 200),
        ("two users", 400),
        ("empty event", 400),
        ("k", 400),
        ("tensor k", 400),
        ("cut binary", 400),
        ("no instances", 400),
        ("no such model", 404),
        ("no such page", 404),
        ("overload", 429),
        ("draining", 503),
        ("not ready", 503),
        ("broken", 500),
        ("unload", 400),
    ],
)
def test_the_status_says_whose_fault_it_is(served: Served, name: str, status: int) -> None:
    answer = ask(served.url, SAME[name])
    assert answer.status_code == status
    if status != 200:
        assert re.fullmatch(r"[^:]+: .+; .+|Model with name .+\.|.+", answer.json()["error"])


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"{",
        b'{"inputs": 1}',
        b'{"inputs": [1]}',
        b'{"inputs": [{"name": "user_id"}]}',
        b'{"inputs": [{"name": 1, "shape": [1], "datatype": "BYTES", "data": ["a"]}]}',
        b'{"inputs": [{"name": "user_id", "shape": [2], "datatype": "BYTES", "data": ["a"]}]}',
        b'{"inputs": [{"name": "user_id", "shape": [1], "datatype": "FP32", "data": [1.5]}]}',
        b'{"inputs": [{"name": "user_id", "shape": [1], "datatype": "BYTES", "data": [1]}]}',
        b'{"inputs": [{"name": "user_id", "shape": [0], "datatype": "BYTES", "data": []}]}',
        b'{"inputs": [{"name": "user_id", "shape": [-1], "datatype": "BYTES", "data": ["a"]}]}',
        b'{"inputs": [%b], "outputs": [1]}' % GOOD,
        b'{"inputs": [%b], "outputs": [{"name": "nothing"}]}' % GOOD,
        b'{"inputs": [%b, %b]}' % (GOOD, GOOD),
        b'{"inputs": [%b], "parameters": 3}' % GOOD,
        b'{"inputs": [{"name": "users", "shape": [1], "datatype": "BYTES", "data": ["a"]}]}',
    ],
)
def test_malformed_tensors_are_refused_by_both(served: Served, body: bytes) -> None:
    request = ("POST", INFER, body, {"content-type": "application/json"})
    for url in (served.url, served.plain):
        answer = ask(url, request)
        assert answer.status_code == 400, answer.text
        assert "; " in answer.json()["error"]


def test_retry_after_and_what_is_told_of_a_fault(served: Served) -> None:
    assert ask(served.url, SAME["overload"]).headers["retry-after"] == "2"
    assert ask(served.url, SAME["draining"]).headers["retry-after"] == "0"
    for url in (served.url, served.plain):
        with httpx.Client(base_url=url) as client:
            message = client.request(*SAME["broken"][:2], content=SAME["broken"][2]).json()["error"]
            incident = message.split()[3].rstrip(";")
            assert "secret" not in message
            assert f"unexpected error {incident}" in served.log.read_text()
            kept = client.request(*SAME["slate"][:2], content=SAME["slate"][2])
            assert kept.status_code == 200
            stream: Any = kept.extensions["network_stream"]
            assert stream is not None


@pytest.mark.parametrize("path", [PREDICT, INFER])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_predict_wants_post(served: Served, path: str, method: str) -> None:
    answer = ask(served.url, (method, path, b"", {}))
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json()["error"].startswith("method: ")


def test_traffic_leaves_no_log(served: Served) -> None:
    def all_of_them() -> None:
        for name in ("slate", "tensors", "k", "two users", "no such model", "overload"):
            for url in (served.url, served.plain):
                ask(url, SAME[name])

    all_of_them()  # A library may warn once.
    before = len(served.log.read_bytes())
    all_of_them()
    assert len(served.log.read_bytes()) == before
