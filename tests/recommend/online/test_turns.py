import sys
import threading
import time

import pytest

from slate.recommend.online.turns import giving_way


def work(seconds: float) -> int:
    """Calls of functions for so long, of this thread's own time."""
    calls, until = 0, time.thread_time() + seconds
    while time.thread_time() < until:
        calls += 1
    return calls


def test_work_stands_back_until_nobody_waits() -> None:
    waiting = [True] * 5

    def busy() -> bool:
        return waiting.pop() if waiting else False

    with giving_way(busy):
        work(0.01)
    assert not waiting


def test_work_ends_however_busy_the_others_are() -> None:
    asked = []
    with giving_way(lambda: not asked.append(None)):
        assert work(0.01) > 0
    assert len(asked) > 1


def test_nobody_is_asked_for_the_work_of_other_threads_or_afterwards() -> None:
    mine = threading.get_ident()
    asked: list[int] = []

    def busy() -> bool:
        asked.append(threading.get_ident())
        return False

    with giving_way(busy):
        other = threading.Thread(target=work, args=(0.01,))
        other.start()
        other.join()
        work(0.01)
    assert set(asked) == {mine}
    before = len(asked)
    work(0.005)
    assert len(asked) == before


def test_a_profiler_that_was_there_is_there_again() -> None:
    def profiler(*_: object) -> None:
        return None

    sys.setprofile(profiler)
    try:
        with pytest.raises(ZeroDivisionError), giving_way(lambda: False):
            _ = 1 / 0
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)
