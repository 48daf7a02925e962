import os
import sys
import threading
import time
from collections.abc import Callable

import pytest

from slate.recommend.online.turns import ANSWERING, LOADING, giving_way, step_back
from slate.retrieval.index import searching

PATIENCE = 0.05


def work(seconds: float) -> int:
    """Calls of functions for so long, of this thread's own time."""
    calls, until = 0, time.thread_time() + seconds
    while time.thread_time() < until:
        calls += 1
    return calls


def in_thread(go: Callable[[], object]) -> None:
    thread = threading.Thread(target=go)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


def test_work_stands_back_until_nobody_waits() -> None:
    quiet, done = threading.Event(), threading.Event()

    def go() -> None:
        with giving_way(quiet, patience=20):
            work(0.01)
            done.set()

    thread = threading.Thread(target=go)
    thread.start()
    assert not done.wait(0.2), "others are busy"
    quiet.set()
    assert done.wait(10)
    thread.join()


def test_nobody_stands_back_while_it_is_quiet() -> None:
    quiet = threading.Event()
    quiet.set()
    waited: list[float] = []
    quiet.wait = lambda seconds=None: waited.append(seconds or 0) is None  # type: ignore[method-assign]
    with giving_way(quiet):
        work(0.01)
    assert waited == []


def test_work_ends_however_busy_the_others_are() -> None:
    began = time.monotonic()
    with giving_way(threading.Event(), PATIENCE):
        assert work(0.005) > 0
    assert time.monotonic() - began >= 2 * PATIENCE, "a little of it, then it stands back again"


def test_other_threads_and_what_follows_stand_back_for_nobody() -> None:
    busy = threading.Event()
    with giving_way(busy, PATIENCE):
        in_thread(lambda: work(0.01))
    waited: list[float] = []
    busy.wait = lambda seconds=None: waited.append(seconds or 0) is None  # type: ignore[method-assign]
    work(0.005)
    assert waited == []


def test_a_profiler_that_was_there_is_there_again() -> None:
    def profiler(*_: object) -> None:
        return None

    quiet = threading.Event()
    quiet.set()
    sys.setprofile(profiler)
    try:
        with pytest.raises(ZeroDivisionError), giving_way(quiet):
            _ = 1 / 0
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)


def test_only_the_thread_that_steps_back_does() -> None:
    mine, seen = os.getpriority(os.PRIO_PROCESS, threading.get_native_id()), []

    def go() -> None:
        step_back(3)
        step_back(4)
        step_back(4)
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    in_thread(go)
    assert seen == [mine + 4]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == mine


def test_an_index_apart_loads_as_far_back_as_the_rest_of_its_release() -> None:
    """Its script imports nothing of the package, so it has a number of its own."""
    assert ANSWERING + searching._STEPS == LOADING
