"""From appended records to histories and Parquet, over both stores."""

import io
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from slate.config import FeedbackConfig
from slate.errors import NotFoundError, StorageError
from slate.feedback.consumer import HISTORY, LOG, Consumer
from slate.feedback.files import file_key, replace
from slate.feedback.log import read_events
from slate.feedback.partitions import events_stream, partition_of
from slate.feedback.queue import EVENTS, EXPOSURES, QUARANTINE, SHADOW_EXPOSURES, Claim, Queue
from slate.feedback.replay import replay
from slate.storage import LocalStore, ObjectStore
from tests.feedback.conftest import Backend
from tests.feedback.written import DAY, contents, event, exposure, rows

CONFIG = FeedbackConfig(batch_rows=4, batch_s=0.2, claim_s=0.5, history=3)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return LocalStore(tmp_path / "log")


@pytest.fixture
def queue(backend: Backend) -> Queue:
    return backend.queue()


@pytest.fixture
def consumer(backend: Backend, store: ObjectStore) -> Consumer:
    return _consumer(backend, store)


def _consumer(
    backend: Backend,
    store: ObjectStore,
    config: FeedbackConfig = CONFIG,
    name: str = "ann",
    queue: Queue | None = None,
) -> Consumer:
    consumer = Consumer(queue or backend.queue(), backend.state(), backend.shown(), store, config, name)
    consumer.register()
    return consumer


def test_an_outcome_has_its_place_and_an_organic_event_none(
    queue: Queue, consumer: Consumer, backend: Backend, store: ObjectStore
) -> None:
    queue.append(EXPOSURES, [exposure("x1"), exposure("x2", user="bob", items=["cup"])])
    organic = event("e1", value=2.5)
    answered, unknown = event("e2", item="ink", exposure_id="x1"), event("e3", exposure_id="lost")
    queue.append(EVENTS, [organic, answered, unknown])
    consumer.drain()
    assert [row["event_id"] for row in rows(store, "events")] == ["e1", "e2", "e3"]
    assert rows(store, "events")[0] == {
        "event_id": "e1",
        "user_id": "ann",
        "item_id": "pen",
        "event": "like",
        "value": 2.5,
        "timestamp": datetime(2026, 11, 21, 12, tzinfo=UTC),
        "received": datetime(2026, 11, 21, 12, 0, 1, tzinfo=UTC),
        "exposure_id": None,
        "organic": True,
    }
    first, second = rows(store, "outcomes")
    assert (first["event_id"], first["position"], first["propensity"]) == ("e2", 2, 0.25)
    assert (first["rollout_id"], first["step"]) == ("ro", "canary")
    assert (first["assigned_variant"], first["release_id"], first["organic"]) == ("candidate", "r-1", False)
    assert (second["event_id"], second["position"], second["propensity"]) == ("e3", None, None)
    shown = rows(store, "exposures")
    assert [row["exposure_id"] for row in shown] == ["x1", "x2"]
    assert shown[0]["items"][1] == {
        "item_id": "ink",
        "score": 0.5,
        "position": 2,
        "source": "two_tower",
        "propensity": 0.25,
    }
    assert json.loads(shown[0]["context"]) == {"device": "phone"}
    assert rows(store, "quarantine") == []
    assert _remembered(backend) == ["ink", "pen", "pen"]
    assert consumer.counts["unmatched"] == 1


def test_an_item_that_was_not_in_the_slate_is_neither_counted_nor_remembered(
    queue: Queue, consumer: Consumer, backend: Backend, store: ObjectStore
) -> None:
    queue.append(EXPOSURES, [exposure("x1")])
    queue.append(EVENTS, [event("e1", item="cup", exposure_id="x1"), event("e2", exposure_id="x1")])
    consumer.drain()
    assert [row["event_id"] for row in rows(store, "outcomes")] == ["e2"]
    assert [row["event_id"] for row in rows(store, "events")] == ["e2"]
    (bad,) = rows(store, "quarantine")
    assert (bad["reason"], bad["position"]) == ("item_id: was not in the slate that was shown", 1)
    assert json.loads(bad["record"])["event_id"] == "e1"
    assert _remembered(backend) == ["pen"]


def test_who_guesses_an_event_id_takes_its_place_nowhere(
    queue: Queue, consumer: Consumer, backend: Backend, store: ObjectStore
) -> None:
    queue.append(EXPOSURES, [exposure("x1"), exposure("x2")])
    queue.append(EVENTS, [event("e1")])
    queue.append(EVENTS, [event("e1", exposure_id="x1"), event("e1", exposure_id="x2", item="ink")])
    consumer.drain()
    assert _remembered(backend) == ["ink", "pen", "pen"]
    queue.rewind(EVENTS, HISTORY, 0)
    consumer.drain()
    assert _remembered(backend) == ["ink", "pen", "pen"]
    assert len(read_events(store)) == len(rows(store, "events")) == 3
    assert [row["exposure_id"] for row in rows(store, "outcomes")] == ["x1", "x2"]


def test_files_are_named_by_partition_and_positions_and_day(
    queue: Queue, consumer: Consumer, store: ObjectStore
) -> None:
    late = event("e6", received="2026-11-22T01:00:00.000000+02:00")  # Still the 21st in UTC.
    next_day = event("e7", received="2026-11-22T00:00:00.000000Z")
    queue.append(EVENTS, [*(event(f"e{i}") for i in range(1, 6)), late, next_day])
    consumer.drain()
    assert store.list("events/") == [
        f"events/date={DAY}/000-000000000001-000000000004.parquet",
        f"events/date={DAY}/000-000000000005-000000000007.parquet",
        "events/date=2026-11-22/000-000000000005-000000000007.parquet",
    ]
    assert [row["event_id"] for row in rows(store, "events")] == [f"e{i}" for i in range(1, 8)]


POISON = [
    b"",
    b"\xff\xfe",
    b"null",
    b"[1]",
    b'{"schema":1}',
    b"[" * 100_000,
    event("x", schema=2),
    event(""),
    event("x", event_id=7),
    event("x", user="\ud800"),
    event("x", value="much"),
    event("x", value=10**400),
    event("x", organic=1),
    event("x", timestamp="yesterday"),
    event("x", received="2026-11-21T12:00:00"),
    event("x", received="0001-01-01T00:00:00+23:00"),
    event("x", exposure_id="x1", shown=None),
    event("x", exposure_id="x1", shown={"release": "r"}),
    event("x").replace(b'"schema": 1', b'"schema": 1, "value": NaN'),
    event("x").replace(b'"schema": 1', b'"schema": 1, "value": 1e999'),
    b"x" * 100_000,
]


def test_what_cannot_be_read_is_put_aside_and_stops_nothing(
    queue: Queue, consumer: Consumer, backend: Backend, store: ObjectStore
) -> None:
    queue.append(EVENTS, [event("e1"), *POISON, event("e2")])
    queue.append(EXPOSURES, [*POISON, exposure("x1"), exposure("x2", items=[]), exposure("x3", items=[7])])
    queue.append(SHADOW_EXPOSURES, [b"?", exposure("s1")])
    queue.append(
        QUARANTINE,
        [b"?", json.dumps({"reason": "no", "received": f"{DAY}T10:00:00Z", "record": "what came"}).encode()],
    )
    consumer.drain()
    assert [row["event_id"] for row in rows(store, "events")] == ["e1", "e2"]
    assert [row["exposure_id"] for row in rows(store, "exposures")] == ["x1", "x2"]
    assert [row["exposure_id"] for row in rows(store, "shadow_exposures")] == ["s1"]
    aside = rows(store, "quarantine")
    assert len(aside) == 2 * len(POISON) + 1 + 1 + 2
    assert all(row["reason"] and len(row["record"]) <= 4096 for row in aside)
    assert sum(row["stream"] == EVENTS for row in aside) == len(POISON)
    endpoint = next(row for row in aside if row["reason"] == "no")
    assert (endpoint["record"], endpoint["received"].hour) == ("what came", 10)
    assert [queue.depth(stream, LOG) for stream in (EVENTS, EXPOSURES, SHADOW_EXPOSURES, QUARANTINE)] == [
        0
    ] * 4
    assert _remembered(backend) == ["pen", "pen"]


def test_reading_again_writes_the_same_bytes_under_the_same_names(
    queue: Queue, backend: Backend, store: ObjectStore
) -> None:
    config = CONFIG.model_copy(update={"replayable": 100})
    consumer = _consumer(backend, store, config)
    queue.append(EXPOSURES, [exposure("x1")])
    queue.append(EVENTS, [event(f"e{i}", exposure_id="x1") for i in range(3)])
    consumer.drain()
    queue.append(EVENTS, [event("e3", item="cup", exposure_id="x1"), *(event(f"e{i}") for i in range(4, 9))])
    consumer.drain()
    before = contents(store)
    store.delete(f"events/date={DAY}/000-000000000001-000000000003.parquet")
    replace(store, f"events/date={DAY}/000-000000000004-000000000007.parquet", b"torn")
    # Other bounds would be taken now, were they not kept.
    other = _consumer(backend, store, config.model_copy(update={"batch_rows": 100}), "bob")
    assert replay(queue, backend.shown(), store, config, 0, after=2) == 9
    other.drain()
    assert contents(store) == before
    assert len(backend.state().history("ann")) == 3


def test_a_replay_finds_the_slates_in_the_log_when_the_index_has_forgotten(
    queue: Queue, backend: Backend, consumer: Consumer, store: ObjectStore, tmp_path: Path
) -> None:
    queue.append(EXPOSURES, [exposure("x1")])
    queue.append(EVENTS, [event("e1", item="ink", exposure_id="x1")])
    consumer.drain()
    before = contents(store)
    other = Backend("sqlite", backend.server, tmp_path / "empty.db").shown()
    assert replay(queue, other, store, CONFIG, 0, after=0) == 1
    Consumer(queue, backend.state(), other, store, CONFIG, "bob").drain()
    assert contents(store) == before


def test_what_is_no_longer_kept_is_not_replayed(queue: Queue, backend: Backend, store: ObjectStore) -> None:
    config = CONFIG.model_copy(update={"replayable": 4})
    consumer = _consumer(backend, store, config)
    queue.append(EVENTS, [event(f"e{i}") for i in range(12)])
    consumer.drain()
    assert queue.depth(EVENTS) == 4
    with pytest.raises(NotFoundError, match="queue:events: is kept from position 9 on"):
        replay(queue, backend.shown(), store, config, 0, after=0)
    assert replay(queue, backend.shown(), store, config, 0, after=8) == 4


class Failing(LocalStore):
    """A store that is away for its first writes."""

    failures = 2

    def write_new(self, key: str, data: bytes) -> None:
        if self.failures:
            self.failures -= 1
            raise StorageError(f"{key}: away")
        super().write_new(key, data)


def test_a_store_that_is_away_delays_files_and_neither_histories_nor_stops(
    queue: Queue, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slate.feedback.consumer._RETRY_SECONDS", 0.02)
    store = Failing(tmp_path / "log")
    consumer = _consumer(backend, store)
    stop = threading.Event()
    thread = threading.Thread(target=consumer.run, args=(stop,))
    thread.start()
    queue.append(EVENTS, [event(f"e{i}") for i in range(5)])
    _until(lambda: queue.depth(EVENTS, LOG) == queue.depth(EVENTS, HISTORY) == 0)
    stop.set()
    thread.join()
    assert len(rows(store, "events")) == 5
    assert len(backend.state().history("ann")) == 3


def test_histories_do_not_wait_for_files_and_a_stop_writes_what_waits(
    queue: Queue, backend: Backend, store: ObjectStore
) -> None:
    patient = CONFIG.model_copy(update={"batch_rows": 5_000, "batch_s": 3_600.0})
    consumer = _consumer(backend, store, patient)
    stop = threading.Event()
    thread = threading.Thread(target=consumer.run, args=(stop,))
    thread.start()
    queue.append(EVENTS, [event("e1")])
    _until(lambda: _remembered(backend) == ["pen"])
    assert store.list() == []
    stop.set()
    thread.join()
    assert [row["event_id"] for row in rows(store, "events")] == ["e1"]


def test_a_claim_that_is_left_is_taken_over_with_its_bounds(
    queue: Queue, backend: Backend, store: ObjectStore
) -> None:
    queue.append(EVENTS, [event(f"e{i}") for i in range(3)])
    consumer = _consumer(backend, store)
    assert queue.claim(EVENTS, LOG, "dead", 3, 0.3) == Claim(1, 3)
    queue.append(EVENTS, [event("e3")])
    consumer.drain()
    assert store.list("events/") == []
    time.sleep(0.4)
    consumer.drain()
    assert [key[-33:-8] for key in store.list("events/")] == [
        "000000000001-000000000003",
        "000000000004-000000000004",
    ]


def test_partitions_share_users_out_and_nothing_meets(backend: Backend, store: ObjectStore) -> None:
    queue, config = backend.queue(), CONFIG.model_copy(update={"partitions": 3})
    users = [f"user-{i}" for i in range(40)]
    for user in users:
        stream = events_stream(partition_of(user, 3))
        queue.append(stream, [event(f"{user}-{i}", user=user) for i in range(3)])
    assert {partition_of(user, 3) for user in users} == {0, 1, 2}
    consumers = [_consumer(backend, store, config, name) for name in ("ann", "bob", "cem")]
    threads = [threading.Thread(target=consumer.drain) for consumer in consumers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    consumers[0].drain()
    names = [row["event_id"] for row in rows(store, "events")]
    assert sorted(names) == sorted(f"{user}-{i}" for user in users for i in range(3))
    assert len(backend.state().history("user-7")) == 3


def test_an_attempt_that_knew_less_leaves_nothing_behind(store: ObjectStore, backend: Backend) -> None:
    """First the slate was not known, then it was, and the item not in it: the outcome of before goes."""
    queue = backend.queue()
    consumer = _consumer(backend, store)
    queue.append(EVENTS, [event("e1", item="cup", exposure_id="x1")])
    consumer.drain()
    assert len(rows(store, "outcomes")) == 1
    queue.append(EXPOSURES, [exposure("x1")])
    consumer.drain()
    queue.rewind(EVENTS, LOG, 0)
    consumer.drain()
    assert (rows(store, "events"), rows(store, "outcomes")) == ([], [])
    assert len(rows(store, "quarantine")) == 1


def test_columns_keep_their_types_in_files_without_values(
    queue: Queue, consumer: Consumer, store: ObjectStore
) -> None:
    queue.append(EVENTS, [event("e1")])
    consumer.drain()
    key = file_key("events", date.fromisoformat(DAY), "000", Claim(1, 1))
    schema = pq.read_schema(io.BytesIO(store.read(key)))
    assert [str(field.type) for field in schema] == [
        *["string"] * 4,
        "double",
        "timestamp[us, tz=UTC]",
        "timestamp[us, tz=UTC]",
        "string",
        "bool",
    ]


class Broken(LocalStore):
    """A store with a fault that no waiting mends."""

    def write_new(self, key: str, data: bytes) -> None:
        raise ZeroDivisionError(f"{key}: {len(data)}")


def test_a_fault_ends_all_of_the_consumer(queue: Queue, backend: Backend, tmp_path: Path) -> None:
    queue.append(EVENTS, [event("e1")])
    with pytest.raises(ZeroDivisionError):
        _consumer(backend, Broken(tmp_path / "log")).run(threading.Event())


def _remembered(backend: Backend) -> list[str]:
    """The items of ann's history, in alphabetical order."""
    return sorted(one.item_id for one in backend.state().history("ann"))


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
