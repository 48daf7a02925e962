"""What is taken counts once, whoever sends it and however often; what is sent together is taken together."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slate.errors import FullError, StorageError
from slate.feedback.endpoint import appender as appending
from slate.feedback.endpoint.appender import Appender
from slate.feedback.queue import QUARANTINE
from tests.feedback.endpoint.world import APP, JWT_SECRET, NOW, READER, SHOP, World, token


def test_a_record_holds_what_the_consumer_reads(world: World) -> None:
    outcome = world.outcome(event="watch", value=30, event_id="o1")
    organic = world.event(event_id="e1", user_id="böb", timestamp="2026-06-01T11:59:59Z")
    answer = world.ask(body=[outcome, organic])
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2, "duplicates": 0, "rejected": []})
    first, second = world.records()
    nonce = first["shown"].pop("nonce")
    assert len(nonce) == 18
    instant = "2026-06-01T12:00:00.000000Z"
    assert first == {
        "schema": 1, "event_id": "o1", "user_id": "ann", "item_id": "i7", "event": "watch", "value": 30.0,
        "timestamp": instant, "received": instant, "organic": False, "exposure_id": outcome["exposure_id"],
        "shown": {
            "at": NOW.timestamp(), "release": "r1", "variant": "stable", "rollout": "rollout", "step": "step"
        },
    }  # fmt: skip
    assert second == {
        "schema": 1, "event_id": "e1", "user_id": "böb", "item_id": "i7", "event": "like",
        "timestamp": "2026-06-01T11:59:59.000000Z", "received": instant, "organic": True,
    }  # fmt: skip


def test_the_sound_are_taken_and_the_others_put_aside_with_a_reason(world: World) -> None:
    secret = {"password": "hunter2", **world.outcome()}
    answer = world.ask(body=[world.event(), {"schema": 1}, world.event(), secret]).json()
    assert (answer["accepted"], [each["index"] for each in answer["rejected"]]) == (2, [1, 3])
    first, second = world.records(QUARANTINE)
    assert first == {
        "reason": "event_id: is missing; send an id",
        "received": "2026-06-01T12:00:00.000000Z",
        "record": '{"schema": 1}',
    }
    assert second["reason"].startswith("password: is not a field")
    kept = json.loads(second["record"])
    assert kept["password"] == "..."
    assert kept["exposure_id"] == secret["exposure_id"].rpartition(".")[0] + "...."
    assert "hunter2" not in json.dumps([answer, world.records(QUARANTINE)])


def test_what_is_put_aside_is_short(world: World) -> None:
    world.ask(body=[{"user_id": "u" * 9000, "x" * 9000: 1}, "y" * 9000])
    world.ask(body=b"z" * 9000)
    assert [len(each["record"]) <= 2000 for each in world.records(QUARANTINE)] == [True] * 3


def test_events_count_once(world: World) -> None:
    event, outcome = world.event(), world.outcome()
    assert world.ask(body=[event, outcome, event]).json()["duplicates"] == 1
    assert world.ask(body=[outcome, event]).json() == {"accepted": 0, "duplicates": 2, "rejected": []}
    assert len(world.records()) == 2


def test_a_replayed_exposure_counts_once_for_an_item_and_event(world: World) -> None:
    outcome = world.outcome()
    replays = [{**outcome, "event_id": f"other{n}", "timestamp": f"2026-06-01T12:00:0{n}Z"} for n in range(5)]
    others = [{**outcome, "item_id": "i8"}, {**outcome, "event": "hide"}]
    answer = world.ask(body=[outcome, *replays, *others]).json()
    assert (answer["accepted"], answer["duplicates"]) == (3, 5)


def test_guessing_event_ids_suppresses_nothing_of_others(world: World) -> None:
    mine, outcome = world.event(event_id="e1"), world.outcome(event_id="o1")
    stranger = token(sub="stranger")
    guessed = [{**mine, "item_id": "junk"}, {**world.event(event_id="o1"), "item_id": "junk"}]
    assert world.ask(body=guessed, key=stranger).json()["accepted"] == 2
    assert world.ask(body=[mine, outcome, world.event(event_id="e1", user_id="bob")]).json()["accepted"] == 3
    # A producer's own id still counts once, after its key has changed too.
    assert world.ask(body={**mine, "item_id": "i9"}).json()["duplicates"] == 1


def test_late_outcomes_count_until_the_window_ends(world: World) -> None:
    outcome = world.outcome()
    world.later(86_400)
    assert world.ask(body=outcome).json()["accepted"] == 1
    late = world.outcome(item_id="i8")
    world.later(86_401)
    (rejected,) = world.ask(body=late).json()["rejected"]
    assert rejected["reason"].startswith("exposure_id: is 86401 s old")


@pytest.mark.parametrize(
    ("key", "organic", "outcome", "status"),
    [
        (SHOP, True, True, 202),
        (APP, False, True, 202),
        (token(scope="organic"), True, False, 202),
        (token(user_id="ann"), True, True, 202),
        (READER, None, None, 403),
        (token(scope="read everything"), None, None, 403),
        (SHOP[:-1], None, None, 401),
        (SHOP + "x", None, None, 401),
        ("", None, None, 401),
        (None, None, None, 401),
        (token(exp=1), None, None, 401),
        (token(exp=None), None, None, 401),
        (token(aud="other"), None, None, 401),
        (token(sub=None), None, None, 401),
        (token(scope=None), None, None, 401),
        (token()[:-2], None, None, 401),
        (token().replace(".", "", 1), None, None, 401),
    ],
)
def test_scopes(
    world: World, key: str | None, organic: bool | None, outcome: bool | None, status: int
) -> None:
    answers = [world.ask(body=each, key=key) for each in (world.event(), world.outcome())]
    assert [answer.status_code for answer in answers] == [status, status]
    if status == 202:
        assert [bool(answer.json()["accepted"]) for answer in answers] == [organic, outcome]
    else:
        assert not world.records()
        assert not world.records(QUARANTINE)
        assert all(word not in answers[0].text for word in (SHOP, APP, READER, JWT_SECRET))
        assert not key or key not in answers[0].text


def test_a_user_brings_so_many_an_hour_and_sending_again_costs_nothing(
    make_world: Callable[..., World],
) -> None:
    world = make_world(user_events_per_hour=3)
    events = [world.event(user_id="bot") for _ in range(5)]
    answer = world.ask(body=[*events, world.event()]).json()
    assert (answer["accepted"], [each["index"] for each in answer["rejected"]]) == (4, [3, 4])
    assert "more than 3 events in an hour" in answer["rejected"][0]["reason"]
    world.later(1200)
    assert [world.ask(body=events[0]).json()["duplicates"] for _ in range(5)] == [1] * 5
    assert world.ask(body=events[3:]).json()["accepted"] == 1
    world.later(1200)
    assert world.ask(body=events[4]).json() == {"accepted": 1, "duplicates": 0, "rejected": []}


def test_a_key_brings_so_many_a_second(make_world: Callable[..., World]) -> None:
    world = make_world(key_events_per_s=4)
    assert world.ask(body=[world.event() for _ in range(4)]).status_code == 202
    answer = world.ask(body=[world.event() for _ in range(2)])
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert world.ask(body=world.outcome(), key=APP).status_code == 202
    world.later(0.5)
    assert world.ask(body=[world.event() for _ in range(2)]).status_code == 202
    assert len(world.records()) == 7


def test_a_full_queue_takes_all_or_nothing(make_world: Callable[..., World]) -> None:
    world = make_world(pending=3, user_events_per_hour=4)
    first = [world.event() for _ in range(2)]
    assert world.ask(body=first).status_code == 202
    for _ in range(5):  # What was refused does not count against the user.
        answer = world.ask(body=[world.event() for _ in range(2)])
        assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (429, True)
    assert len(world.records()) == 2
    assert world.ask(body=first).json()["duplicates"] == 2
    assert world.ask(body=world.event()).json()["accepted"] == 1
    text = world.ask("/metrics", method="GET", key=None).text
    for result, count in {"accepted": 3, "duplicate": 2, "refused": 10, "rejected": 0}.items():
        assert f'slate_events_total{{result="{result}"}} {count}.0' in text
    assert 'slate_queue_depth{queue="queue:events"} 3.0' in text


def test_partitions_share_the_users_out_and_ids_still_count_once(make_world: Callable[..., World]) -> None:
    world = make_world(partitions=3)
    events = [world.event(user_id=f"u{n % 7}") for n in range(40)]
    assert world.ask(body=events).json()["accepted"] == 40
    assert world.ask(body=events).json()["duplicates"] == 40
    streams = [world.records(f"queue:events{suffix}") for suffix in ("", ":1", ":2")]
    users = [{record["user_id"] for record in records} for records in streams]
    assert sum(map(len, streams)) == 40
    assert sum(map(len, users)) == 7
    assert len([each for each in users if each]) > 1


def test_without_state_nothing_is_acknowledged(world: World) -> None:
    with sqlite3.connect(world.config.state) as database:
        database.execute("DROP TABLE records")
    database.close()
    answer = world.ask(body=world.event())
    assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True)
    answer = world.ask(body={})
    assert (answer.status_code, len(answer.json()["rejected"])) == (202, 1)
    assert "slate_quarantine_dropped_total 1.0" in world.ask("/metrics", method="GET", key=None).text


class Picky:
    """A queue that holds three records and fails on a word."""

    def __init__(self) -> None:
        self.held: list[bytes] = []
        self.calls: list[tuple[str, int]] = []

    def append(self, stream: str, records: Sequence[bytes], ids: Sequence[str] = ()) -> list[bool]:
        self.calls.append((stream, len(ids)))
        if b"broken" in records:
            raise StorageError("broken")
        if len(self.held) + len(records) > 3:
            raise FullError("full")
        self.held += records
        return [True] * len(records)


def test_requests_that_meet_share_a_write_and_not_their_fate() -> None:
    queue: Any = Picky()

    async def meet() -> list[Any]:
        appender = Appender(queue, "events")
        work = [appender.append(records, records) for records in ([b"a"], [b"b", b"c"], [b"d", b"e"], [b"f"])]  # type: ignore[arg-type]
        found = await asyncio.gather(*work, return_exceptions=True)
        appender.close()
        return found

    found = asyncio.run(meet())
    assert found[:2] == [[True], [True, True]]
    assert [type(each) for each in found[2:]] == [FullError, FullError]
    assert queue.held == [b"a", b"b", b"c"]
    # All four met, did not fit together, and were tried one by one.
    assert queue.calls == [("events", count) for count in (6, 1, 2, 2, 1)]


def test_what_waits_for_its_write_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appending, "_WAITING", 2)
    queue: Any = Picky()

    async def meet() -> list[Any]:
        appender = Appender(queue, "events")
        first = await asyncio.gather(
            *(appender.append([b"a"], ["a"]) for _ in range(3)), return_exceptions=True
        )
        again = await appender.append([b"b"], ["b"])
        appender.close()
        return [*first, again]

    found = asyncio.run(meet())
    assert [type(each) for each in found] == [list, list, FullError, list]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["schema", "event_id", "user_id", "item_id", "event", "value", "timestamp", "exposure_id", "specversion", "data", "x"]), inner, max_size=8), max_leaves=12))  # fmt: skip  # noqa: E501
def test_nothing_that_is_sent_makes_it_fail(world: World, body: Any) -> None:
    for headers in (
        {},
        {"content-type": "application/cloudevents+json"},
        {"content-type": "application/x-ndjson"},
    ):
        answer = world.ask(body=json.dumps(body).encode(), headers=headers)
        assert answer.status_code in (202, 400), answer.text
    assert not world.records()
