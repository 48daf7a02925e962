"""A course goes on until its rollout has ended, or nobody comes any more."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from slate.clock import Scale, SystemClock
from slate.errors import ReleaseError
from slate.rollout.judge.verdict import Decision, Verdict
from slate.rollout.state import Move, RolloutStatus, State, create, read_state, swap
from slate.rollout.verdicts import record
from slate.simulation.client import Address
from slate.simulation.course import Course, Setting, run_course
from slate.simulation.visits import visits
from slate.simulation.world import World
from slate.storage import ObjectStore, open_store
from tests.simulation.shop import Shop
from tests.simulation.test_trouble import AT, state


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path))


def setting_of(
    world: World, store: ObjectStore, address: Address, scale: float, days: float, start: Callable[[], str]
) -> Setting:
    return Setting(
        store,
        address,
        world.tastes,
        visits(world, 1.0, days),
        SystemClock(Scale(scale, time.time())),
        "run",
        start=start,
        warm_s=0.05,
    )


def followed(
    world: World, store: ObjectStore, scale: float, days: float, start: Callable[[], str] = lambda: "r"
) -> tuple[Course, list[str], int]:
    """A course to its end: with the states that meddlers saw, and how often listeners were told."""
    seen: list[str] = []
    told: list[int] = []

    async def run() -> Course:
        async with Shop(world.tastes.items).open() as address:
            return await run_course(
                setting_of(world, store, address, scale, days, start),
                lambda found: seen.append(found.status),
                lambda course: told.append(course.traffic.asked),
            )

    return asyncio.run(run()), seen, len(told)


def test_it_ends_with_the_rollout_and_says_what_was_seen_of_it(world: World, store: ObjectStore) -> None:
    create(store, state(RolloutStatus.CANARY))
    verdict = Verdict(
        rollout_id="r", step="50", percent=50, at=AT, decision=Decision.ABORT, blind=False, reasons=("bad",)
    )

    def end() -> None:
        record(store, verdict, 1)
        move = Move(
            status=RolloutStatus.ABORTED, step="50", threshold=0, at=AT, by="test", reason="bad", verdict=1
        )
        before = read_state(store, "r")
        swap(store, before, before.state.moved(move))

    timer = threading.Timer(0.8, end)
    timer.start()
    course, seen, told = followed(world, store, scale=20_000.0, days=1_000)
    timer.join()
    assert course.state is not None
    assert course.state.status is RolloutStatus.ABORTED
    assert course.verdict is not None
    assert course.verdict.number == 1
    assert len(course.moves) == 2
    assert course.moves == sorted(course.moves)
    assert (seen[0], seen[-1]) == ("canary", "aborted")
    assert told == len(seen)
    assert 0 < course.traffic.asked < 100_000, "nobody came after the end"


def test_a_rollout_that_does_not_end_is_left_when_nobody_comes_any_more(
    world: World, store: ObjectStore
) -> None:
    create(store, state(RolloutStatus.CANARY))
    course, seen, _ = followed(world, store, scale=100_000.0, days=1.0)
    assert course.state is not None
    assert course.state.status is RolloutStatus.CANARY
    assert set(seen) == {"canary"}
    assert course.traffic.asked == len(list(visits(world, 1.0, 1.0)))


def test_a_rollout_that_cannot_be_started_ends_all_of_it(world: World, store: ObjectStore) -> None:
    def refuse() -> str:
        raise ReleaseError("release b: is stable already")

    with pytest.raises(ReleaseError, match="stable already"):
        followed(world, store, scale=1_000.0, days=1_000, start=refuse)


def test_a_state_that_cannot_be_read_for_a_while_ends_nothing(world: World, store: ObjectStore) -> None:
    timer = threading.Timer(0.7, lambda: create(store, state(RolloutStatus.PROMOTED)))
    timer.start()
    course, seen, told = followed(world, store, scale=20_000.0, days=1_000)
    timer.join()
    assert seen == ["promoted"]
    assert told > 1
    assert isinstance(course.state, State)


def test_an_interrupted_course_leaves_nobody_behind(world: World, store: ObjectStore) -> None:
    create(store, state(RolloutStatus.CANARY))
    problems: list[object] = []

    async def run() -> set[asyncio.Task[object]]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        async with Shop(world.tastes.items).open() as address:
            setting = setting_of(world, store, address, 20_000.0, 1_000, lambda: "r")
            before = asyncio.all_tasks()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(run_course(setting, lambda _: None, lambda _: None), 0.6)
            return asyncio.all_tasks() - before

    left = asyncio.run(run())
    gc.collect()
    assert problems == []
    assert [task for task in left if "slate/simulation" in repr(task)] == []
