"""Real controllers, two rivals, killed at random instants: nothing they leave behind is ever wrong."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from slate.clock import VARIABLE, Scale, SystemClock
from slate.config import load_config
from slate.errors import SlateError
from slate.release.channels import STABLE, move_channel
from slate.release.publish import publish
from slate.release.rollouts import read_pointer
from slate.rollout.judge.verdict import Decision
from slate.rollout.start import start
from slate.rollout.state import State, read_state
from slate.rollout.verdicts import last_verdict, read_verdict
from slate.storage import ObjectStore, open_store
from tests.infra.rendered import rendered
from tests.release.conftest import make_release
from tests.rollout.bench import QUICK
from tests.rollout.people import People
from tests.rollout.traffic.kubernetes.cluster import Cluster, kubeconfig, running

__all__ = ["make_release"]

SCALE = 30.0
#: How long a failing verdict may take to empty the candidate, and a rollout to end once nobody is killed.
ROLLBACK_SECONDS = 10.0
END_SECONDS = 120.0
#: How long the test waits for a look before it kills somebody all the same.
PROGRESS_SECONDS = 20.0
ZYGOTE = Path(__file__).with_name("zygote.py")


def write_config(folder: Path, url: str) -> Path:
    rollout = QUICK | {
        "steps": [10, 50], "dwell_s": 20, "window_s": 20, "guardrail_window_s": 10, "minimum_users": 10,
        "look_s": 0.5, "lease_s": 1.0, "broken_requests": 5,
        "gateway": {"driver": "kubernetes", "prometheus": url, "block_s": 0.5},
    }  # fmt: skip
    body = {
        "dataset": {
            "name": "kill",
            "interactions": {
                "path": "none.csv",
                "columns": {"user_id": "u", "item_id": "i", "timestamp": "t"},
            },
            "events": {"like": {"weight": 1}},
        },
        "rollout": {**rollout, "steps": [10, 50]},
    }
    path = folder / "kill.yaml"
    path.write_text(yaml.safe_dump(body), encoding="utf-8")
    return path


@dataclass
class Observer:
    """Sees every change of the gateway as it is made, and reads the state all the time."""

    store: ObjectStore
    cluster: Cluster
    wrong: list[str] = field(default_factory=list)
    rises: int = 0
    rollbacks: list[float] = field(default_factory=list)
    threshold: int = 0
    failing: tuple[str, float] | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.cluster.changed = self.changed
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def changed(self, context: dict[str, Any]) -> None:
        """A rise needs a move that is written, and a verdict that is written and says advance."""
        before, self.threshold = self.threshold, context["threshold"]
        if self.threshold <= before:
            return
        self.rises += 1
        state = read_state(self.store, context["salt"]).state
        told = (context["step"], self.threshold)
        here = [move for move in state.history if (move.step, move.threshold) == told]
        verdict = read_verdict(self.store, state.rollout_id, here[0].verdict or 0) if here else None
        if verdict is None or verdict.decision is not Decision.ADVANCE:
            self.wrong.append(f"{before} -> {self.threshold} without a verdict: {state.history}")

    def read(self) -> None:
        while not self.stop.wait(0.02):
            try:
                pointer = read_pointer(self.store)
                if pointer is not None:
                    self.seen(read_state(self.store, pointer.rollout_id).state)
            except SlateError as error:
                self.wrong.append(f"cannot be read: {error}")

    def seen(self, state: State) -> None:
        """How long a failing verdict takes to empty the candidate."""
        last = last_verdict(self.store, state.rollout_id, state.last_verdict)
        number = last.number if last else state.last_verdict
        decision = read_verdict(self.store, state.rollout_id, number).decision if number else Decision.HOLD
        if decision is not Decision.ABORT:
            return
        if self.failing is None or self.failing[0] != state.rollout_id:
            self.failing = (state.rollout_id, time.monotonic())
        if self.cluster.context["threshold"] == 0 and len(self.rollbacks) < self.ended(state):
            self.rollbacks.append(time.monotonic() - self.failing[1])

    def ended(self, state: State) -> int:
        self.aborted = getattr(self, "aborted", set()) | {state.rollout_id}
        return len(self.aborted)


@dataclass
class Controllers:
    """Two processes at a time."""

    zygote: "subprocess.Popen[str]"
    folder: Path
    alive: list[int] = field(default_factory=list)

    def start(self) -> None:
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        print(self.folder / "watch.log", file=self.zygote.stdin, flush=True)
        self.alive.append(int(self.zygote.stdout.readline()))

    def kill(self, place: int) -> None:
        os.kill(self.alive.pop(place), signal.SIGKILL)


@contextmanager
def controllers(folder: Path, config: Path, store: ObjectStore, url: str) -> Iterator[Controllers]:
    environment = {
        **os.environ,
        "KUBECONFIG": str(kubeconfig(folder, url)),
        VARIABLE: str(Scale(SCALE, ORIGIN)),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [sys.executable, str(ZYGOTE), "--config", str(config), "--store", store.uri]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as zygote:
        assert zygote.stdout is not None
        assert zygote.stdout.readline() == "ready\n"
        found = Controllers(zygote, folder)
        try:
            for _ in range(2):
                found.start()
            yield found
        finally:
            while found.alive:
                found.kill(0)
            assert zygote.stdin is not None
            zygote.stdin.close()


ORIGIN = time.time()


def rolled_out(
    store: ObjectStore, make_release: Any, config: Any, cluster: Cluster, clock: SystemClock
) -> str:
    folder, manifest = make_release()
    publish(store, folder)
    cluster.pods["candidate"] = [manifest.release_id]
    return start(store, manifest.release_id, config, "test", clock)


def killed(tmp_path: Path, make_release: Any, kills: int, seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    store, clock = open_store(tmp_path / "store"), SystemClock(Scale(SCALE, ORIGIN))
    folder, manifest = make_release()
    publish(store, folder)
    move_channel(store, STABLE, manifest.release_id, reason="first", by="test")
    cluster = Cluster(rendered("prod"), pods={"stable": [manifest.release_id], "candidate": []})
    with running(cluster) as url:
        path = write_config(tmp_path, url)
        config = load_config(path).rollout
        observer = Observer(store, cluster)
        people = People(cluster, store, clock, seed, candidate="broken")
        outcomes: list[tuple[str, str]] = []
        with controllers(tmp_path, path, store, url) as rivals:
            current = rolled_out(store, make_release, config, cluster, clock)
            for number in range(kills + 1):
                state = read_state(store, current).state
                pointer = read_pointer(store)
                if pointer is not None and pointer.ended:
                    outcomes.append((people.candidate, state.status))
                    people.candidate = ("better", "worse", "broken")[len(outcomes) % 3]
                    people.forget()
                    current = rolled_out(store, make_release, config, cluster, clock)
                instant(store, current, chance)
                if number < kills:
                    rivals.kill(chance.randrange(2))
                    rivals.start()
            outcomes.append((people.candidate, ended(store, current).status))
        observer.stop.set()
        people.stop.set()
        observer.thread.join()
        people.thread.join()
    log = (tmp_path / "watch.log").read_text()
    slowest = max(observer.rollbacks, default=0.0)
    print(f"{outcomes}, {observer.rises} rises, slowest rollback {slowest:.1f} s")
    assert observer.wrong == [], log
    assert observer.rises > 0, log
    assert slowest < ROLLBACK_SECONDS, log
    for candidate, status in outcomes:
        assert status == ("promoted" if candidate == "better" else "aborted"), (outcomes, log)
    assert bool(observer.rollbacks) or all(candidate == "better" for candidate, _ in outcomes)


def instant(store: ObjectStore, rollout_id: str, chance: random.Random) -> None:
    """Wait for when to kill: at any time, or soon after a look or a move, where it matters."""
    if chance.random() < 0.4:
        time.sleep(chance.uniform(0.05, 1.5))
        return
    before, deadline = progress(store, rollout_id), time.monotonic() + PROGRESS_SECONDS
    while progress(store, rollout_id) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(chance.uniform(0.0, 0.3))


def progress(store: ObjectStore, rollout_id: str) -> tuple[int, int]:
    state = read_state(store, rollout_id).state
    last = last_verdict(store, rollout_id, state.last_verdict)
    return state.sequence, last.number if last else state.last_verdict


def ended(store: ObjectStore, rollout_id: str) -> State:
    """The state when nothing is left to do."""
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        pointer = read_pointer(store)
        if pointer is not None and pointer.ended:
            return read_state(store, rollout_id).state
        time.sleep(0.1)
    state = read_state(store, rollout_id).state
    last = last_verdict(store, rollout_id)
    raise AssertionError(f"did not end: {state.status} {state.step}, {last.verdict.reasons if last else ()}")


def test_ten_kills_leave_nothing_wrong_behind(tmp_path: Path, make_release: Any) -> None:
    killed(tmp_path, make_release, kills=10, seed=random.SystemRandom().randrange(10**6))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_kills_leave_nothing_wrong_behind(tmp_path: Path, make_release: Any) -> None:
    killed(tmp_path, make_release, kills=200, seed=random.SystemRandom().randrange(10**6))
