"""Requests are read as their shape says; what is wrong with them is said by place."""

import math
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.parse import Parser, header_user, load_json
from serving.refusal import InputError
from slate.config import ServingConfig
from slate.recommend.engine import ScoreRequest
from slate.recommend.request import Interaction, Request

PARSER = Parser(ServingConfig(max_instances=3, max_k=100, max_items=4, max_history=3))
NOON = "2026-01-31T12:00:00Z"


def happening(item_id: str, timestamp: str, **more: object) -> dict[str, object]:
    return {"item_id": item_id, "event": "watch", "timestamp": timestamp, **more}


def dated(timestamp: str, **more: object) -> str:
    return orjson.dumps({"instances": [{"history": [happening("a", timestamp, **more)]}]}).decode()


def test_a_slate_with_every_field() -> None:
    asked = PARSER.slates(
        load_json(
            orjson.dumps(
                {
                    "instances": [
                        {
                            "user_id": "ü 1",
                            "k": 7,
                            "history": [
                                "a",
                                {"item_id": "b", "event": "watch", "timestamp": "2026-01-31T14:00:00+02:00"},
                            ],
                            "context": {"timestamp": NOON, "surface": "tv", "tags": ["x", 1], "none": None},
                            "exclude": ["c"],
                            "explain": True,
                            "deadline_ms": 40,
                        },
                        {"deadline_ms": 30.5, "user_id": None, "k": None, "history": []},
                    ]
                }
            )
        ),
        None,
    )
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert asked.deadline_ms == 30.5
    assert asked.requests[0] == Request(
        user_id="ü 1",
        history=["a", Interaction("b", "watch", noon)],
        context={"surface": "tv", "tags": ["x", 1], "none": None},
        exclude=["c"],
        k=7,
        at=noon,
        explain=True,
    )
    assert asked.requests[1] == Request(history=[])


def test_an_instance_may_be_empty() -> None:
    assert PARSER.slates({"instances": [{}]}, None).requests == [Request()]
    assert PARSER.slates({"instances": [{}]}, None).deadline_ms is None


def test_a_ranking() -> None:
    (asked,) = PARSER.rankings(
        {"instances": [{"item_ids": ["a", "b"], "history": ["c"], "context": {"timestamp": NOON}}]}, "7"
    )
    assert asked == ScoreRequest(
        item_ids=["a", "b"], user_id="7", history=["c"], at=datetime(2026, 1, 31, 12, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("body", "start"),
    [
        ("5", "body: 5 is not an object"),
        ("{}", "instances: is missing"),
        ('{"instances": {}}', "instances: {} is not a list"),
        ('{"instances": []}', "instances: 0 instances"),
        ('{"instances": [{}, {}, {}, {}]}', "instances: 4 instances"),
        ('{"instances": [{}], "instance": 1}', "instance: is not a field"),
        ('{"instances": [[]]}', "instances[0]: [] is not an object"),
        ('{"instances": [{}, {"users": "1"}]}', "instances[1].users: is not a field"),
        ('{"instances": [{"user_id": 42}]}', 'instances[0].user_id: 42 is a number; ids are text, send "42"'),
        ('{"instances": [{"user_id": true}]}', "instances[0].user_id: True is not text"),
        ('{"instances": [{"user_id": ""}]}', "instances[0].user_id: the id is empty"),
        ('{"instances": [{"user_id": "%s"}]}' % ("é" * 513), "instances[0].user_id: the id has 1026 bytes"),
        ('{"instances": [{}, {}, {"k": 0}]}', "instances[2].k: 0 is below 1; send 1 to 100"),
        ('{"instances": [{"k": -1}]}', "instances[0].k: -1 is below 1"),
        ('{"instances": [{"k": 1000000000}]}', "instances[0].k: 1000000000 is above 100"),
        ('{"instances": [{"k": 101}]}', "instances[0].k: 101 is above 100"),
        ('{"instances": [{"k": 1.0}]}', "instances[0].k: 1.0 is not a whole number"),
        ('{"instances": [{"k": true}]}', "instances[0].k: True is not a whole number"),
        ('{"instances": [{"k": "3"}]}', "instances[0].k: '3' is not a whole number"),
        ('{"instances": [{"explain": 1}]}', "instances[0].explain: 1 is not true or false"),
        ('{"instances": [{"deadline_ms": 0}]}', "instances[0].deadline_ms: 0 is not above 0"),
        ('{"instances": [{"deadline_ms": true}]}', "instances[0].deadline_ms: True is not a number"),
        ('{"instances": [{"exclude": "a"}]}', "instances[0].exclude: 'a' is not a list"),
        ('{"instances": [{"exclude": ["a", 2]}]}', "instances[0].exclude[1]: 2 is a number"),
        ('{"instances": [{"exclude": ["a", "b", "c", "d", "e"]}]}', "instances[0].exclude: 5 are too many"),
        ('{"instances": [{"history": {"a": 1}}]}', "instances[0].history: {'a': 1} is not a list"),
        ('{"instances": [{"history": ["a", "b", "c", "d"]}]}', "instances[0].history: 4 are too many"),
        ('{"instances": [{"history": ["a", null]}]}', "instances[0].history[1]: None is not text"),
        ('{"instances": [{"history": [{"item_id": "a"}]}]}', "instances[0].history[0].event: is missing"),
        (
            dated("2026-01-01T00:00:00"),
            "instances[0].history[0].timestamp: '2026-01-01T00:00:00' has no time zone",
        ),
        (
            dated("0001-01-01T00:00:00+14:00"),
            "instances[0].history[0].timestamp: '0001-01-01T00:00:00+14:00' is not an instant",
        ),
        (
            dated(NOON, x=1),
            "instances[0].history[0].x: is not a field",
        ),
        ('{"instances": [{"context": []}]}', "instances[0].context: [] is not an object"),
        ('{"instances": [{"context": {"a": {}}}]}', "instances[0].context.a: is an object"),
        ('{"instances": [{"context": {"a": [[]]}}]}', "instances[0].context.a: is nested"),
        ('{"instances": [{"context": {"timestamp": 5}}]}', "instances[0].context.timestamp: 5 is not text"),
        ('{"instances": [{"context": {"a": NaN}}]}', "body: is not JSON"),
        ('{"instances": [{"context": {"a": 1e999}}]}', "body: is not JSON"),
        ('{"instances": [', "body: is not JSON"),
        ("[" * 100_000, "body: is not JSON"),
        ('{"instances": [{"user_id": "\\ud800"}]}', "body: is not JSON"),
        ("", "body: is not JSON"),
    ],
)
def test_what_is_wrong_is_said_by_place(body: str, start: str) -> None:
    with pytest.raises(InputError) as caught:
        PARSER.slates(load_json(body.encode()), None)
    message = str(caught.value)
    assert message.startswith(start)
    assert "; " in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("instance", "start"),
    [
        ({}, "instances[0].item_ids: None is not a list"),
        ({"item_ids": []}, "instances[0].item_ids: there are no ids"),
        ({"item_ids": ["a", ""]}, "instances[0].item_ids[1]: the id is empty"),
        ({"item_ids": ["a"], "k": 3}, "instances[0].k: is not a field"),
    ],
)
def test_a_ranking_needs_items(instance: dict[str, Any], start: str) -> None:
    with pytest.raises(InputError) as caught:
        PARSER.rankings({"instances": [instance]}, None)
    assert str(caught.value).startswith(start)


def test_the_header_names_the_user_and_may_not_contradict() -> None:
    assert PARSER.slates({"instances": [{}]}, "7").requests[0].user_id == "7"
    assert PARSER.slates({"instances": [{"user_id": "7"}]}, "7").requests[0].user_id == "7"
    with pytest.raises(InputError, match="x-slate-user-id"):
        PARSER.slates({"instances": [{"user_id": "7"}, {"user_id": "8"}]}, "7")


def test_the_header_is_utf8() -> None:
    assert header_user("é".encode()) == "é"
    assert header_user(None) is None
    with pytest.raises(InputError, match="not UTF-8"):
        header_user(b"\xff")
    with pytest.raises(InputError, match="bytes"):
        header_user(b"a" * 1025)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
INSTANCE = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("user_id", "k", "history", "context", "exclude", "explain", "deadline_ms", "item_ids"), JSON
    ),
)


@given(st.fixed_dictionaries({"instances": st.lists(INSTANCE | JSON, max_size=4)}) | JSON, st.booleans())
def test_anything_is_read_or_refused(body: Any, ranker: bool) -> None:
    read = PARSER.rankings if ranker else PARSER.slates
    try:
        asked = read(body, None)
    except InputError as error:
        if not (error.problem and error.advice):
            raise AssertionError("what is wrong must be said") from error
        return
    requests = asked.requests if not isinstance(asked, list) else asked
    for request in requests:
        for value in request.context.values():
            assert not isinstance(value, float) or math.isfinite(value)
        assert not isinstance(request, Request) or request.k is None or 1 <= request.k <= 100
