"""A whole host over the real tiny release: ready, unready within a second, ready again, swapped."""

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slate.config.online import OnlineConfig
from slate.ranking.scorer import Ranker
from slate.recommend.online.host import Host
from slate.recommend.online.load import load
from slate.recommend.online.turns import ANSWERING, LOADING
from slate.recommend.request import Request
from slate.release.channels import move_channel, rollback
from slate.release.verify import verify_directory
from slate.retrieval.index.apart import IndexProcess
from slate.steps.push_release import push_release
from slate.storage import LocalStore
from tests.conftest import TinyRun

#: Nothing is late on a busy machine.
PATIENT = OnlineConfig(deadline_ms=20_000, retrieve_ms=9_000, filter_ms=9_000, score_ms=9_000, order_ms=9_000)


async def until(condition: Callable[[], Any], seconds: float = 180.0) -> float:
    """Wait for it; how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        await asyncio.sleep(0.01)
    return time.monotonic() - began


def release_of(tiny: TinyRun) -> Path:
    return Path(tiny.store) / "releases" / tiny.release_id


def test_ready_means_that_answers_are_right(tiny: TinyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> None:
        host = Host(PATIENT, "stable")
        assert not host.engine.ready
        folder = release_of(tiny)
        await host.pin(lambda: (folder, verify_directory(folder)))
        assert host.engine.ready
        (answer,) = await host.engine.recommend([Request(user_id="p1")])
        assert answer.slate.rung == "personalised"

        right = Ranker.score

        def wrong(*arguments: Any) -> Any:
            scores = right(*arguments)
            return replace(scores, score=1.0 - scores.score)

        monkeypatch.setattr(Ranker, "score", wrong)
        took = await until(lambda: not host.engine.ready)
        assert "otherwise than it was" in host.engine.trouble
        monkeypatch.setattr(Ranker, "score", right)
        await until(lambda: host.engine.ready)
        await host.stop()
        assert not host.engine.ready
        assert took < 30

    asyncio.run(go())


def test_stuck_slots_are_not_ready(tiny: TinyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> None:
        host = Host(OnlineConfig(slots=2, score_ms=300), "stable")
        folder = release_of(tiny)
        await host.pin(lambda: (folder, verify_directory(folder)))
        right, free = Ranker.score, threading.Event()
        monkeypatch.setattr(Ranker, "score", lambda *a: (free.wait(30), right(*a))[1])
        await until(lambda: not host.engine.ready)
        assert "busy" in host.engine.trouble or "late" in host.engine.trouble
        free.set()
        await until(lambda: host.engine.ready)
        await host.stop()

    asyncio.run(go())


@pytest.mark.parametrize("large", [False, True], ids=["index here", "index apart"])
def test_swaps_under_traffic_mix_nothing_and_lose_nothing(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    started: list[IndexProcess] = []

    def start(folder: Path) -> IndexProcess:
        started.append(IndexProcess(folder))
        there = os.getpriority(os.PRIO_PROCESS, started[-1].pid)
        assert there == here + ANSWERING, "it searches where the stages do"
        return started[-1]

    def opened(*args: Any) -> Any:
        behind.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) - here)
        waits.extend(host.engine.admission._patient_until for host in hosts)
        return load(*args)

    here, behind, waits = os.getpriority(os.PRIO_PROCESS, os.getpid()), list[int](), list[float]()
    hosts: list[Host] = []
    monkeypatch.setattr("slate.recommend.online.host.load", opened)
    monkeypatch.setattr("slate.recommend.online.host.IndexProcess", start)
    if large:
        monkeypatch.setattr("slate.recommend.online.host._LARGE", 0)
    shutil.copytree(tiny.store, tmp_path / "store")
    store = LocalStore(tmp_path / "store")
    at = tiny.folders
    first, second = tiny.release_id, push_release(store.uri, at["candidate"], at["verdict"], "again")
    taken: list[str] = []

    async def traffic(host: Host, stop: asyncio.Event) -> list[set[str]]:
        seen = []
        while not stop.is_set():
            answers = await host.engine.recommend([Request(user_id=f"p{n}") for n in range(4)])
            assert [a.slate.rung for a in answers] == ["personalised"] * 4
            seen.append({a.slate.release_id for a in answers})
        return seen

    async def go() -> list[set[str]]:
        host = Host(PATIENT, "stable", taken=taken.append)
        hosts.append(host)
        await host.follow(store, "stable", seconds=0.02)
        await until(lambda: host.engine.ready)
        stop = asyncio.Event()
        users = [asyncio.create_task(traffic(host, stop)) for _ in range(3)]
        for swap in range(1, 7):
            if swap % 2:
                move_channel(store, "stable", second, reason="test", by="test")
            else:
                rollback(store, "stable")
            await until(lambda swap=swap: len(taken) == swap + 1)
            await asyncio.sleep(0.05)
        stop.set()
        seen = [release for user in await asyncio.gather(*users) for release in user]
        await host.stop()
        return seen

    seen = asyncio.run(go())
    assert taken == [first, second] * 3 + [first]
    assert len(started) == int(large), "the first is opened here, and both stay warm"
    assert behind == [0, LOADING], "behind those who answer, once there are some"
    assert waits[0] < waits[1], "who has to wait meanwhile does not have to for long"
    assert all(len(releases) == 1 for releases in seen), "an answer never mixes two releases"
    assert {first} in seen
    assert {second} in seen
