"""Endpoint, consumer and store are killed at random instants: nothing acknowledged is lost or counted twice.

All of them are the real programs, and clients talk to the endpoint over HTTP. ``SLATE_KILL_SEED`` repeats the
choices of a run (not its instants: those are the machine's).
"""

import base64
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from slate.config import FeedbackConfig
from slate.feedback.consumer import HISTORY, INDEX, LOG
from slate.feedback.endpoint.keys import VARIABLE as KEYS
from slate.feedback.exposure import ExposureLog
from slate.feedback.open import VARIABLE, open_queue, open_state
from slate.feedback.queue import EVENTS, EXPOSURES, Queue
from slate.feedback.signing import VARIABLE as SIGNING
from slate.feedback.signing import Signer
from slate.feedback.writer import BackgroundWriter
from slate.storage import LocalStore
from tests.feedback.clients import USERS, Client, Sent
from tests.feedback.endpoint.world import DATASET
from tests.feedback.killable import PATIENCE, Program
from tests.feedback.stores import RedisProcess, free_port
from tests.feedback.written import rows

SECRET = "the-secret-of-the-shop"
SIGNATURE = b"a signing key of the shop"
CLIENTS = 3
HISTORY_LENGTH = 50
#: So often one is killed again before it is at work.
EARLY = 0.2


@dataclass
class World:
    """The programs, their clients, and how often each was killed."""

    folder: Path
    config: FeedbackConfig
    environment: dict[str, str]
    redis: RedisProcess | None
    seed: int

    def __post_init__(self) -> None:
        file = self.folder / "config.yaml"
        file.write_text(yaml.safe_dump({"dataset": DATASET, "feedback": self.config.model_dump()}))
        common = ["--config", str(file)]
        self.log = self.folder / "log"
        self.endpoint = Program(
            self.folder / "endpoint", ["events", "serve", *common], self.environment, "events of"
        )
        consume = ["events", "consume", *common, "--store", str(self.log)]
        self.consumer = Program(self.folder / "consumer", consume, self.environment, "consuming")
        self.killed: Counter[str] = Counter()
        self.failed = threading.Event()

    def kill_endpoint(self, count: int, sent: Sent) -> None:
        chance = random.Random(f"{self.seed} endpoint")
        for _ in range(count):
            if self._until_right(chance, lambda: self.until_answering(sent)):
                self.endpoint.restart()
                self.killed["endpoint"] += 1

    def kill_consumer(self, count: int) -> None:
        chance = random.Random(f"{self.seed} consumer")
        for number in range(count):
            if self._until_right(chance, self.consumer.until_at_work):
                # Every other one comes back under another name, and so waits for the claims to run out.
                self.consumer.restart("--name", f"name-{number // 2}")
                self.killed["consumer"] += 1

    def kill_store(self, count: int, sent: Sent) -> None:
        assert self.redis is not None
        chance = random.Random(f"{self.seed} store")
        for _ in range(count):
            if self._until_right(chance, lambda: self.until_answering(sent)):
                self.redis.kill()
                assert self.redis.start(), "the store does not come back"
                self.killed["store"] += 1

    def _until_right(self, chance: random.Random, at_work: Callable[[], None]) -> bool:
        """At work, mostly, and then some time; false where another killer has failed."""
        if chance.random() >= EARLY:
            at_work()
        time.sleep(chance.uniform(0.0, 0.6))
        return not self.failed.is_set()

    def until_answering(self, sent: Sent) -> None:
        """Wait for one more answer."""
        before, end = sent.answers, time.monotonic() + PATIENCE
        while sent.answers == before and not self.failed.is_set():
            assert time.monotonic() < end, "nothing is acknowledged any more"
            self.endpoint.keep()
            time.sleep(0.02)

    def until_done(self, queue: Queue) -> None:
        """However slow the disk is; but not where nothing moves any more."""
        waiting, end = -1, 0.0
        groups = [(EVENTS, LOG), (EVENTS, HISTORY), (EXPOSURES, LOG), (EXPOSURES, INDEX)]
        while left := sum(queue.depth(stream, group) for stream, group in groups):
            if left != waiting:
                waiting, end = left, time.monotonic() + PATIENCE
            assert time.monotonic() < end, f"the consumer is stuck with {left} records"
            self.consumer.keep()
            time.sleep(0.05)


def _kill_and_check(
    tmp_path: Path, redis: RedisProcess | None, kills: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = int(os.environ.get("SLATE_KILL_SEED", int.from_bytes(os.urandom(4), "big")))
    print(f"SLATE_KILL_SEED={seed}")
    monkeypatch.delenv(VARIABLE, raising=False)
    if redis is not None:
        monkeypatch.setenv(VARIABLE, redis.url)
    config = _config(tmp_path)
    with _world(tmp_path, config, redis, seed) as world:
        queue = open_queue(config)
        writer = BackgroundWriter(queue, EXPOSURES)
        sent = Sent(ExposureLog("stable", Signer({"k1": SIGNATURE}), writer))
        with _clients(world, sent, seed) as clients:
            _kill(world, sent, kills)
            world.until_answering(sent)
            for client in clients:
                client.stop()
        writer.close(PATIENCE)
        assert (writer.dropped, len(sent.events) > 0) == (0, True)
        world.consumer.until_at_work()
        world.until_done(queue)
        world.endpoint.end()
        world.consumer.end()
        queue.close()
    print(
        f"{dict(world.killed)} killed, {len(sent.events)} events acknowledged, {sent.again} sent again, "
        f"{sent.unknown} requests without an answer, "
        f"{world.endpoint.gave_up + world.consumer.gave_up} starts without a store"
    )
    assert sum(world.killed.values()) == kills
    _check(world, sent, config)


def _config(folder: Path) -> FeedbackConfig:
    return FeedbackConfig(
        port=free_port(),
        state=str(folder / "state.db"),
        durability="process",
        batch_rows=100,
        batch_s=0.1,
        claim_s=0.4,
        history=HISTORY_LENGTH,
        replayable=500,
        user_events_per_hour=10_000_000,
        drain_s=0.0,
    )


@contextmanager
def _world(folder: Path, config: FeedbackConfig, redis: RedisProcess | None, seed: int) -> Iterator[World]:
    """The programs; none of them outlives the test."""
    environment = {KEYS: f"shop:{SECRET}:outcomes+organic"}
    environment[SIGNING] = f"k1:{base64.b64encode(SIGNATURE).decode()}"
    world = World(folder, config, environment, redis, seed)
    try:
        yield world
    finally:
        world.endpoint.kill()
        world.consumer.kill()


def _kill(world: World, sent: Sent, kills: int) -> None:
    """One killer a victim: two may be away at once."""
    victims = 2 if world.redis is None else 3
    shares = [kills // victims + (place < kills % victims) for place in range(victims)]
    with ThreadPoolExecutor(victims) as threads:
        killers = [
            threads.submit(world.kill_endpoint, shares[0], sent),
            threads.submit(world.kill_consumer, shares[1]),
        ]
        if world.redis is not None:
            killers.append(threads.submit(world.kill_store, shares[2], sent))
        for killer in as_completed(killers):
            if killer.exception() is not None:
                world.failed.set()
        for killer in killers:
            killer.result()


@contextmanager
def _clients(world: World, sent: Sent, seed: int) -> Iterator[list[Client]]:
    """Clients that send; what one of them was told wrong is the reason for all that follows."""
    clients = [Client(sent, world.config.port, SECRET, seed + place) for place in range(CLIENTS)]
    try:
        yield clients
    except BaseException as error:
        for problem in (client.problem for client in clients if client.problem is not None):
            raise problem from error
        raise
    finally:
        for client in clients:
            client.abandon()


def _check(world: World, sent: Sent, config: FeedbackConfig) -> None:
    store = LocalStore(world.log)
    counted = Counter(row["event_id"] for row in rows(store, "events"))
    lost = set(sent.events) - set(counted)
    twice = {name: count for name, count in counted.items() if count > 1}
    assert (len(lost), len(twice)) == (0, 0), f"lost: {sorted(lost)[:5]}, twice: {list(twice.items())[:5]}"
    assert set(counted) == set(sent.events)
    assert sent.accepted <= len(sent.events)
    outcomes = {name: event for name, event in sent.events.items() if "exposure_id" in event}
    answered = rows(store, "outcomes")
    assert Counter(row["event_id"] for row in answered) == Counter(list(outcomes))
    assert {row["position"] for row in answered} <= {2, None}
    shown = Counter(row["exposure_id"] for row in rows(store, "exposures"))
    assert shown == Counter(str(event["exposure_id"]) for event in outcomes.values())
    assert rows(store, "quarantine") == []
    _check_positions(store, len(counted))
    _check_histories(sent, config)


def _check_positions(store: LocalStore, count: int) -> None:
    """Files follow each other from the first position to the last."""
    bounds = sorted({tuple(map(int, key[-33:-8].split("-"))) for key in store.list("events/")})
    assert (bounds[0][0], bounds[-1][1]) == (1, count)
    assert all(last + 1 == first for (_, last), (first, _) in pairwise(bounds))


def _check_histories(sent: Sent, config: FeedbackConfig) -> None:
    state = open_state(config)
    for number in range(USERS):
        own = [event for event in sent.events.values() if event["user_id"] == f"user-{number}"]
        latest = sorted(own, key=lambda event: str(event["timestamp"]))[-HISTORY_LENGTH:]
        assert [one.item_id for one in state.history(f"user-{number}")] == [e["item_id"] for e in latest]
    state.close()


@pytest.fixture
def redis(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisProcess | None]:
    if request.param == "sqlite":
        yield None
        return
    process = RedisProcess(tmp_path / "redis", flush=request.param)
    yield process
    process.kill()


@pytest.mark.parametrize("redis", ["sqlite", "always"], indirect=True)
def test_a_few_kills(tmp_path: Path, redis: RedisProcess | None, monkeypatch: pytest.MonkeyPatch) -> None:
    _kill_and_check(tmp_path, redis, 6, monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("redis", ["sqlite", "always"], indirect=True)
def test_two_hundred_kills(
    tmp_path: Path, redis: RedisProcess | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _kill_and_check(tmp_path, redis, 200, monkeypatch)
