"""Endpoint, consumer and store are killed at random instants: nothing acknowledged is lost or counted twice.

A client sends until it has an answer, as clients do, and sends every tenth request again although it had one.
``SLATE_KILL_SEED`` repeats the choices of a run (not its instants: those are the machine's).
"""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from slate.config import FeedbackConfig
from slate.feedback.consumer import HISTORY, LOG
from slate.feedback.open import VARIABLE, open_queue, open_state
from slate.feedback.queue import EVENTS, Queue
from slate.storage import LocalStore
from tests.feedback.stores import RedisProcess
from tests.feedback.written import rows

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
RESENT = 0.1
VICTIMS = ("endpoint", "consumer", "store")


class Killable:
    """A program of :mod:`tests.feedback.programs`; when it is killed one that is loaded takes its place."""

    def __init__(self, role: str, config: FeedbackConfig, environment: dict[str, str], store: Path) -> None:
        self._command = [sys.executable, "-m", "tests.feedback.programs", role, config.model_dump_json()]
        self._command.append(str(store))
        self._environment = environment
        self._started: list[subprocess.Popen[str]] = []
        self._spare = self._load()
        self.start()

    def start(self) -> None:
        spare, self._spare = self._spare, self._load()
        # Every other one comes back under another name, and so waits for the claims to run out.
        _tell(spare, f"name-{len(self._started) // 2}")
        self.process = spare

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Kill all for good. Only now is no pipe in use."""
        for process in self._started:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(BrokenPipeError):
                    pipe.close()  # type: ignore[union-attr]

    def _load(self) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._environment, stdin=pipe, stdout=pipe, text=True
        )
        self._started.append(process)
        return process


def _tell(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.write(line + "\n")
        process.stdin.flush()


def _hear(process: "subprocess.Popen[str]") -> str:
    """The next line; empty where the process ended before it was whole."""
    assert process.stdout is not None
    line = process.stdout.readline()
    return line if line.endswith("\n") else ""


class Client:
    """Sends events until it is told to stop, each until it is acknowledged."""

    def __init__(self, endpoint: Killable, seed: int) -> None:
        self._endpoint = endpoint
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self.acknowledged: list[str] = []
        self.added: Counter[str] = Counter()
        self.again = 0
        self._given_up = False
        self._thread = threading.Thread(target=self._send_all)
        self._thread.start()

    def stop(self, strict: bool = True) -> None:
        self._stop.set()
        self._given_up = not strict
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "an event has no known outcome"

    def _send_all(self) -> None:
        number = 0
        while not self._stop.is_set():
            size = self._random.randint(1, 20)
            names = [f"e{number + place}" for place in range(size)]
            number += size
            self._send(names)
            self.acknowledged += names
            time.sleep(0.003)  # Leaves the machine to the others.
            if self._random.random() < RESENT:
                self.again += size
                self._send(self._random.sample(self.acknowledged, min(size, len(self.acknowledged))))

    def _send(self, names: list[str]) -> None:
        while not self._given_up:
            # One process a request: another one's answers are not for it.
            process = self._endpoint.process
            _tell(process, json.dumps(names))
            answer = _hear(process)
            outcome = json.loads(answer) if answer else None
            if isinstance(outcome, list):
                self.added.update(name for name, new in zip(names, outcome, strict=True) if new)
                return
            time.sleep(0.005)


def _world(tmp_path: Path, redis: RedisProcess | None) -> tuple[FeedbackConfig, dict[str, str]]:
    config = FeedbackConfig(
        state=str(tmp_path / "state.db"),
        durability="process",
        batch_rows=60,
        batch_s=0.05,
        claim_s=0.4,
        history=50,
        replayable=500,
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop(VARIABLE, None)
    if redis is not None:
        environment[VARIABLE] = redis.url
    return config, environment


def _kill_and_check(
    tmp_path: Path, redis: RedisProcess | None, kills: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = int(os.environ.get("SLATE_KILL_SEED", int.from_bytes(os.urandom(4), "big")))
    print(f"SLATE_KILL_SEED={seed}")
    chance = random.Random(seed)
    victims = chance.sample(VICTIMS, len(VICTIMS)) if redis else ["consumer", "endpoint"]
    config, environment = _world(tmp_path, redis)
    endpoint = Killable("endpoint", config, environment, tmp_path / "log")
    consumer = Killable("consumer", config, environment, tmp_path / "log")
    client = Client(endpoint, seed)
    killed: Counter[str] = Counter()
    try:
        for place in range(kills):
            victim = victims[place % len(victims)]
            _until_working(endpoint, client)
            time.sleep(chance.uniform(0.0, 0.5))
            if victim == "store":
                assert redis is not None
                redis.kill()
                assert redis.start(), "the store does not come back"
            else:
                program = endpoint if victim == "endpoint" else consumer
                program.kill()
                program.start()
            killed[victim] += 1
        _until_working(endpoint, client)
        client.stop()
        if redis is not None:
            monkeypatch.setenv(VARIABLE, redis.url)
        queue = open_queue(config)
        _until_done(queue)
        consumer.process.terminate()
        assert consumer.process.wait(PATIENCE) == 0
    finally:
        consumer.close()
        endpoint.kill()
        client.stop(strict=False)
        endpoint.close()
    print(f"{killed} killed, {len(client.acknowledged)} acknowledged, {client.again} sent again")
    _check(client, tmp_path / "log", config)


def _until_working(endpoint: Killable, client: Client) -> None:
    """A process that is still starting has nothing to lose: wait for another answer."""
    before, end = len(client.acknowledged), time.monotonic() + PATIENCE
    while len(client.acknowledged) == before:
        assert time.monotonic() < end, "nothing is acknowledged any more"
        time.sleep(0.005)


def _until_done(queue: Queue) -> None:
    """However slow the disk is; but not where nothing moves any more."""
    waiting, end = -1, 0.0
    while left := queue.depth(EVENTS, LOG) + queue.depth(EVENTS, HISTORY):
        if left != waiting:
            waiting, end = left, time.monotonic() + PATIENCE
        assert time.monotonic() < end, f"the consumer is stuck with {left} records"
        time.sleep(0.05)


def _check(client: Client, log: Path, config: FeedbackConfig) -> None:
    store = LocalStore(log)
    counted = Counter(row["event_id"] for row in rows(store, "events"))
    assert client.acknowledged
    lost = set(client.acknowledged) - set(counted)
    twice = {name: count for name, count in counted.items() if count > 1}
    assert (len(lost), len(twice)) == (0, 0), (
        f"lost: {sorted(lost)[:5]}, of which the queue took {sum(client.added[name] for name in lost)}, "
        f"twice: {list(twice.items())[:5]}"
    )
    assert set(counted) == set(client.acknowledged)
    assert max(client.added.values()) == 1
    outcomes = Counter(row["event_id"] for row in rows(store, "outcomes"))
    assert outcomes == Counter(name for name in client.acknowledged if int(name[1:]) % 2)
    assert rows(store, "quarantine") == []
    bounds = sorted({tuple(map(int, key[-33:-8].split("-"))) for key in store.list("events/")})
    assert bounds[0][0] == 1
    assert bounds[-1][1] == len(counted)
    assert all(last + 1 == first for (_, last), (first, _) in pairwise(bounds))
    last = [name for name in client.acknowledged if int(name[1:]) % 7 == 3]
    remembered = {one.event_id for one in open_state(config).history("user-3")}
    assert len(remembered) == min(config.history, len(last))
    assert remembered <= set(last)


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
def test_a_hundred_kills(tmp_path: Path, redis: RedisProcess | None, monkeypatch: pytest.MonkeyPatch) -> None:
    _kill_and_check(tmp_path, redis, 100, monkeypatch)
