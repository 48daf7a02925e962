"""Bad requests of every kind: refused by name, never a fault of the server's, on a connection that stays."""

import http.client
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.conftest import Served

PREDICT = "/v1/models/recommender:predict"


@pytest.fixture(scope="module")
def connection(served: Served) -> Iterator[http.client.HTTPConnection]:
    """One connection for all of the table."""
    kept = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=20)
    kept.connect()
    yield kept
    kept.close()


@pytest.mark.parametrize(
    ("path", "body", "status", "named"),
    [
        (PREDICT, '{"instances": [', 400, "body: is not JSON"),
        (PREDICT, "{}", 400, "instances: is missing"),
        (PREDICT, '{"instances": "x"}', 400, "instances: 'x' is not a list"),
        (PREDICT, '{"instances": [{"k": 0}]}', 400, "instances[0].k: 0 is below 1"),
        (PREDICT, '{"instances": [{"k": -1}]}', 400, "instances[0].k: -1 is below 1"),
        (PREDICT, '{"instances": [{"k": 1000000000}]}', 400, "instances[0].k: 1000000000 is above 100"),
        (PREDICT, '{"instances": [{"user_id": 7}]}', 400, "instances[0].user_id: 7 is a number"),
        (PREDICT, '{"instances": [{"context": {"surface": NaN}}]}', 400, "body: is not JSON"),
        (PREDICT, '{"instances": [{"context": {"surface": Infinity}}]}', 400, "body: is not JSON"),
        (
            PREDICT,
            '{"instances": [{"user_id": "%s"}]}' % ("a" * 100_000),
            400,
            "instances[0].user_id",
        ),
        (PREDICT, '{"instances": [{"user_id": "%s"}]}' % ("a" * 10_000_000), 413, "body: has 10000032 bytes"),
        (PREDICT, "[" * 150_000, 400, "body: is not JSON"),
        (PREDICT, '{"instances": [{}, {}, {}, {}, {}, {}, {}, {}, {}]}', 400, "instances: 9 instances"),
        (
            "/v1/models/ranker:predict",
            '{"instances": [{}]}',
            400,
            "instances[0].item_ids: None is not a list",
        ),
        ("/v1/models/nobody:predict", '{"instances": [{}]}', 404, "Model with name nobody"),
        ("/v1/models/nobody:predict", "a" * 300_000, 404, "Model with name nobody"),
        ("/v2/models/recommender/infer", '{"inputs": []}', 400, "inputs.user_id: is missing"),
        (
            "/v2/models/ranker/infer",
            '{"inputs": [{"name": "item_id", "shape": [1, 2], "datatype": "BYTES", "data": [["a"], 7]}]}',
            400,
            "inputs[0].data: mixes rows and elements",
        ),
        (
            "/v2/models/recommender/infer",
            '{"inputs": [{"name": "user_id", "shape": [1], "datatype": "BYTES", "data": [0]}]}',
            400,
            "inputs.user_id: 0 is a number",
        ),
        ("/v1/models/recommender:explain", '{"instances": [{}]}', 404, ""),
        ("/v2/repository/models/recommender/unload", "", 400, "'recommender': models are not unloaded"),
    ],
)
def test_what_is_bad_is_named_and_the_connection_kept(
    connection: http.client.HTTPConnection, path: str, body: str, status: int, named: str
) -> None:
    socket = connection.sock
    connection.request("POST", path, body=body.encode())
    answer = connection.getresponse()
    content = orjson.loads(answer.read())
    assert (answer.status, content["error"][: len(named)]) == (status, named)
    connection.request("POST", PREDICT, body=b'{"instances": [{"user_id": "p1", "k": 1}]}')
    assert connection.getresponse().read().startswith(b'{"predictions":')
    assert connection.sock is socket


def test_unknown_items_are_ignored(served: Served) -> None:
    body = {"instances": [{"history": ["gone", "film 03, é"], "exclude": ["gone too"], "explain": True}]}
    (slate,) = httpx.post(served.url + PREDICT, json=body).json()["predictions"]
    assert slate["items"]
    assert set(slate["explanation"]["ignored"]) == {"gone", "gone too"}


def test_a_body_in_chunks_is_bounded_too(served: Served) -> None:
    answer = httpx.post(served.url + PREDICT, content=iter([b"x" * 50_000] * 5))
    assert answer.status_code == 413
    assert httpx.post(served.url + PREDICT, content=iter([b'{"instances"', b": [{}]}"])).status_code == 200


def test_an_odd_content_length_is_no_fault(served: Served) -> None:
    raw = httpx.post(served.url + PREDICT, content=b"", headers={"x-slate-user-id": "a" * 2000})
    assert raw.status_code == 400


WORDS = st.sampled_from(
    ["p1", "film 03, é", "none", "", "é", "a" * 1100, "2024-02-06T12:00:00Z", "k", "[1", "{}"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
INSTANCE = st.fixed_dictionaries(
    {},
    optional={
        "user_id": WORDS | JSON,
        "k": st.integers(-1, 110) | JSON,
        "history": st.lists(WORDS, max_size=3) | JSON,
        "context": st.dictionaries(st.sampled_from(["timestamp", "surface"]), WORDS | JSON) | JSON,
        "exclude": st.lists(WORDS, max_size=3) | JSON,
        "explain": st.booleans() | JSON,
        "deadline_ms": st.floats(1, 1000) | JSON,
        "item_ids": st.lists(WORDS, max_size=3) | JSON,
    },
)
TENSOR = st.fixed_dictionaries(
    {"name": st.sampled_from(["user_id", "item_id"]) | JSON},
    optional={
        "shape": st.lists(st.integers(-1, 3), max_size=3) | JSON,
        "datatype": st.sampled_from(["BYTES", "FP16", "FP32", "INT64", "nothing"]) | JSON,
        "data": st.lists(WORDS, max_size=3) | JSON,
        "parameters": st.dictionaries(st.just("binary_data_size"), st.integers(-1, 9) | JSON) | JSON,
    },
)
BODY = st.one_of(
    st.fixed_dictionaries({"instances": st.lists(INSTANCE, max_size=3) | JSON}),
    st.fixed_dictionaries(
        {"inputs": st.lists(TENSOR, max_size=2) | JSON},
        optional={
            "id": WORDS | JSON,
            "parameters": INSTANCE | JSON,
            "outputs": st.lists(st.fixed_dictionaries({"name": WORDS | JSON}), max_size=2) | JSON,
        },
    ),
    JSON,
).map(lambda body: orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)) | st.binary(max_size=40)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from(["application/json", "application/octet-stream", "text/plain"]),
        "x-slate-user-id": st.sampled_from([b"p1", "é".encode(), b"\xff", b"a" * 1100]),
        "inference-header-content-length": st.sampled_from(["0", "9", "-1", "x", "99999999999999999999"]),
        "ce-specversion": st.just("1.0"),
        "ce-type": st.just("t"),
        "ce-source": st.just("s"),
        "ce-id": st.just("1"),
    },
)
NAMES = st.sampled_from(["recommender", "ranker", "other", "é", "a%2Fb", "1"])


def fuzz(served: Served, examples: int) -> None:
    """Ask every operation of the OpenAPI document for what hypothesis thinks of; both applications."""
    document = httpx.get(f"{served.url}/openapi.json").json()
    operations = [
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if path != "/metrics"
    ]
    hot = [each for each in operations if each[1].endswith((":predict", "/infer"))]
    assert len(hot) == 4
    seen: set[int] = set()
    with httpx.Client(timeout=20) as client:

        @settings(
            max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
        )
        @given(st.sampled_from(hot) | st.sampled_from(operations), NAMES, BODY, HEADERS, st.booleans())
        def ask(operation: tuple[str, str], name: str, body: bytes, headers: Any, plain: bool) -> None:
            method, path = operation
            url = (served.plain if plain else served.url) + path.replace("recommender", quote(name))
            answer = client.request(method, url, content=body, headers=headers)
            assert answer.status_code < 500, answer.text
            seen.add(answer.status_code)
            assert answer.headers.get("connection") != "close"
            if answer.status_code >= 400:
                assert answer.json()["error"]

        ask()
    assert seen >= {200, 400, 404}


def test_whatever_comes_is_answered_and_no_fault(served: Served) -> None:
    fuzz(served, 500)


@pytest.mark.slow
def test_ten_thousand_times(served: Served) -> None:
    fuzz(served, 10_000)
