"""Stages in one thread: bounded, left behind in time, and usable again."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slate.recommend.online.course import Course, Step
from slate.recommend.online.slots import Slots
from slate.recommend.online.trouble import StageError
from slate.recommend.online.workers import Workers


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers("stages")
    yield made
    made.close()


class Stage:
    """One stage of two slots."""

    def __init__(self, workers: Workers, name: str = "retrieve") -> None:
        self._workers = workers
        self.slots = Slots(name, 2)

    async def run(self, work: Callable[[], Any], seconds: float) -> Any:
        return await Course(self._workers, [Step(self.slots, seconds, work)]).run()


@pytest.fixture
def stage(workers: Workers) -> Stage:
    return Stage(workers)


def hang(event: threading.Event) -> str:
    event.wait(10)
    return "late"


def test_work_is_done_elsewhere_and_its_errors_come_back(stage: Stage) -> None:
    async def go() -> None:
        assert await stage.run(threading.get_ident, 1) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await stage.run(lambda: 1 // 0, 1)
        assert await stage.run(lambda: 7, 1) == 7

    asyncio.run(go())


def test_steps_follow_each_other_in_one_thread_and_the_last_one_answers(workers: Workers) -> None:
    slots = [Slots(name, 1) for name in "abc"]
    seen: list[tuple[str, int]] = []

    def step(name: str, seconds: float) -> int:
        time.sleep(seconds)
        seen.append((name, threading.get_ident()))
        return len(seen)

    async def go() -> None:
        course = Course(
            workers,
            [Step(each, 5, lambda n=each.name: step(n, 0.01)) for each in slots],  # type: ignore[misc]
        )
        assert await course.run() == 3
        assert [lap.stage for lap in course.laps] == ["a", "b", "c"]
        assert all(lap.error is None and lap.seconds >= 0.01 for lap in course.laps)
        ends = [lap.began + lap.seconds for lap in course.laps]
        assert [lap.began for lap in course.laps[1:]] == ends[:2], "no time is in none of them"

    asyncio.run(go())
    assert [name for name, _ in seen] == ["a", "b", "c"]
    assert len({thread for _, thread in seen}) == 1
    assert workers.count == 1
    assert all(each.take() for each in slots), "every slot was given back"


def test_no_step_behind_one_that_fails(workers: Workers) -> None:
    first, second = Slots("a", 1), Slots("b", 1)

    async def go() -> None:
        course = Course(workers, [Step(first, 5, lambda: 1 // 0), Step(second, 5, lambda: 1)])
        with pytest.raises(ZeroDivisionError):
            await course.run()
        ((stage, _, _, error),) = course.laps
        assert stage == "a"
        assert isinstance(error, ZeroDivisionError)

    asyncio.run(go())
    assert first.take()
    assert second.take()


@pytest.mark.parametrize("late", [0, 1, 2])
def test_any_step_may_be_the_late_one_and_is_left_behind_after_its_own_time(
    workers: Workers, late: int
) -> None:
    event = threading.Event()
    slots = [Slots(name, 2) for name in "abc"]
    reached: list[str] = []

    def work(place: int) -> None:
        reached.append(slots[place].name)
        if place == late:
            event.wait(10)

    async def go() -> None:
        limits = [0.2, 0.05, 0.1]
        course = Course(
            workers,
            [Step(slots[n], limits[n], lambda n=n: work(n)) for n in range(3)],  # type: ignore[misc]
        )
        with pytest.raises(StageError, match=f"{slots[late].name}: late"):
            await course.run()
        assert limits[late] <= course.laps[-1].seconds < limits[late] + 1
        assert [each.stuck for each in slots] == [int(place == late) for place in range(3)]
        event.set()
        while slots[late].stuck:
            await asyncio.sleep(0.005)

    asyncio.run(go())
    assert reached == list("abc")[: late + 1], "what nobody waits for goes no further"


def test_a_step_without_a_free_slot_is_waited_for_and_the_course_goes_on(workers: Workers) -> None:
    first, second = Slots("a", 2), Slots("b", 1)
    event = threading.Event()

    async def go() -> None:
        holds = asyncio.create_task(Course(workers, [Step(second, 5, lambda: hang(event))]).run())
        await asyncio.sleep(0.01)
        course = Course(workers, [Step(first, 5, lambda: 1), Step(second, 5, lambda: 2)])
        waits = asyncio.create_task(course.run())
        await asyncio.sleep(0.05)
        assert not waits.done()
        assert first.take()
        assert first.take(), "its own slot it gave back"
        event.set()
        assert (await holds, await waits) == ("late", 2)
        assert course.laps[1].seconds > 0.02, "the wait is the second step's"

    asyncio.run(go())


def test_late_work_is_left_behind_and_holds_its_slot_until_it_is_back(stage: Stage) -> None:
    event = threading.Event()

    async def go() -> None:
        began = time.monotonic()
        with pytest.raises(StageError, match="retrieve: late"):
            await stage.run(lambda: hang(event), 0.05)
        assert 0.05 <= time.monotonic() - began < 2
        assert stage.slots.stuck == 1
        assert await stage.run(lambda: "fine", 1) == "fine", "the other slot works on"
        with pytest.raises(StageError, match="late"):
            await stage.run(lambda: hang(event), 0.05)
        assert stage.slots.stuck == 2
        began = time.monotonic()
        with pytest.raises(StageError, match="busy"):
            await stage.run(lambda: "never", 5)
        assert time.monotonic() - began < 1, "it fails at once, not after its time"
        event.set()
        while stage.slots.stuck:
            await asyncio.sleep(0.005)
        assert await stage.run(lambda: "again", 1) == "again"

    asyncio.run(go())


def test_no_more_threads_than_slots_and_waiters_get_their_turn(stage: Stage, workers: Workers) -> None:
    together, most = 0, 0
    lock = threading.Lock()

    def work() -> int:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        time.sleep(0.002)
        with lock:
            together -= 1
        return 1

    async def go() -> None:
        assert sum(await asyncio.gather(*(stage.run(work, 5) for _ in range(50)))) == 50

    asyncio.run(go())
    assert most == 2
    assert workers.count == 2


def test_who_waits_for_a_slot_waits_no_longer_than_asked(stage: Stage) -> None:
    event = threading.Event()

    async def go() -> None:
        running = [asyncio.create_task(stage.run(lambda: hang(event), 5)) for _ in range(2)]
        await asyncio.sleep(0.01)
        with pytest.raises(StageError, match="no slot became free"):
            await stage.run(lambda: 1, 0.05)
        assert stage.slots.stuck == 0, "nothing was begun"
        event.set()
        assert await asyncio.gather(*running) == ["late", "late"]

    asyncio.run(go())


def test_waiters_are_told_when_the_last_slot_gets_stuck(stage: Stage) -> None:
    event = threading.Event()

    async def go() -> None:
        stuck = [asyncio.create_task(stage.run(lambda: hang(event), 0.1)) for _ in range(2)]
        await asyncio.sleep(0.01)
        began = time.monotonic()
        with pytest.raises(StageError, match="busy"):
            await stage.run(lambda: 1, 5)
        assert time.monotonic() - began < 2
        await asyncio.gather(*stuck, return_exceptions=True)
        event.set()

    asyncio.run(go())


def test_a_waiter_that_is_cancelled_keeps_nobody_else_waiting(stage: Stage) -> None:
    event = threading.Event()

    async def go() -> None:
        running = [asyncio.create_task(stage.run(lambda: hang(event), 5)) for _ in range(2)]
        await asyncio.sleep(0.01)
        gone, stays = (asyncio.create_task(stage.run(lambda: "mine", 5)) for _ in range(2))
        await asyncio.sleep(0.01)
        gone.cancel()
        event.set()
        assert await asyncio.gather(*running) == ["late", "late"]
        assert await stays == "mine"

    asyncio.run(go())


def test_a_cancelled_waiter_counts_its_work_as_left_behind(stage: Stage) -> None:
    event = threading.Event()

    async def go() -> None:
        task = asyncio.create_task(stage.run(lambda: hang(event), 5))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stage.slots.stuck == 1
        event.set()
        while stage.slots.stuck:
            await asyncio.sleep(0.005)

    asyncio.run(go())


def test_where_the_system_gives_no_thread_the_slot_is_free_again(
    stage: Stage, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def go() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", none)
            for _ in range(3):
                with pytest.raises(StageError, match="retrieve: busy, can't start new thread"):
                    await stage.run(lambda: 1, 5)
        assert workers.count == 0
        assert await stage.run(lambda: 1, 5) == 1

    asyncio.run(go())
