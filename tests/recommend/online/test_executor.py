"""A stage's threads: bounded, left behind in time, and usable again."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from slate.recommend.online.executor import StageError, StageExecutor


@pytest.fixture
def executor() -> Iterator[StageExecutor]:
    made = StageExecutor("retrieve", 2)
    yield made
    made.close()


def hang(event: threading.Event) -> str:
    event.wait(10)
    return "late"


def test_work_is_done_elsewhere_and_its_errors_come_back(executor: StageExecutor) -> None:
    async def go() -> None:
        assert await executor.run(threading.get_ident, 1) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await executor.run(lambda: 1 // 0, 1)
        assert await executor.run(lambda: 7, 1) == 7

    asyncio.run(go())


def test_late_work_is_left_behind_and_holds_its_slot_until_it_is_back(executor: StageExecutor) -> None:
    event = threading.Event()

    async def go() -> None:
        began = time.monotonic()
        with pytest.raises(StageError, match="retrieve: late"):
            await executor.run(lambda: hang(event), 0.05)
        assert 0.05 <= time.monotonic() - began < 2
        assert executor.stuck == 1
        assert await executor.run(lambda: "fine", 1) == "fine", "the other slot works on"
        with pytest.raises(StageError, match="late"):
            await executor.run(lambda: hang(event), 0.05)
        assert executor.stuck == 2
        began = time.monotonic()
        with pytest.raises(StageError, match="busy"):
            await executor.run(lambda: "never", 5)
        assert time.monotonic() - began < 1, "it fails at once, not after its time"
        event.set()
        while executor.stuck:
            await asyncio.sleep(0.005)
        assert await executor.run(lambda: "again", 1) == "again"

    asyncio.run(go())


def test_no_more_threads_than_slots_and_waiters_get_their_turn(executor: StageExecutor) -> None:
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
        assert sum(await asyncio.gather(*(executor.run(work, 5) for _ in range(50)))) == 50

    asyncio.run(go())
    assert most == 2


def test_who_waits_for_a_slot_waits_no_longer_than_asked(executor: StageExecutor) -> None:
    event = threading.Event()

    async def go() -> None:
        running = [asyncio.create_task(executor.run(lambda: hang(event), 5)) for _ in range(2)]
        await asyncio.sleep(0.01)
        with pytest.raises(StageError, match="no slot became free"):
            await executor.run(lambda: 1, 0.05)
        assert executor.stuck == 0, "nothing was begun"
        event.set()
        assert await asyncio.gather(*running) == ["late", "late"]

    asyncio.run(go())


def test_waiters_are_told_when_the_last_slot_gets_stuck(executor: StageExecutor) -> None:
    event = threading.Event()

    async def go() -> None:
        stuck = [asyncio.create_task(executor.run(lambda: hang(event), 0.1)) for _ in range(2)]
        await asyncio.sleep(0.01)
        began = time.monotonic()
        with pytest.raises(StageError, match="busy"):
            await executor.run(lambda: 1, 5)
        assert time.monotonic() - began < 2
        await asyncio.gather(*stuck, return_exceptions=True)
        event.set()

    asyncio.run(go())


def test_a_cancelled_waiter_counts_its_work_as_left_behind(executor: StageExecutor) -> None:
    event = threading.Event()

    async def go() -> None:
        task = asyncio.create_task(executor.run(lambda: hang(event), 5))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert executor.stuck == 1
        event.set()
        while executor.stuck:
            await asyncio.sleep(0.005)

    asyncio.run(go())
