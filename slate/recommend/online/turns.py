"""Let a thread that computes in Python work only while nobody else has to wait for it.

A release is opened beside the one that answers, in a second or two of which most is Python: every step of a
request meanwhile would wait for its turn with the interpreter, and on a busy core for the processor, too. A
thread cannot be given a lower priority for that, since it may hold the interpreter when it has to stand back;
it can stand back by itself, each time it calls a function.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

#: Seconds of its own work after which a thread looks whether others wait.
WORK: Final = 0.001
#: Of so many calls of functions one looks at the clock, which costs more than most of them.
_CALLS: Final = 8
#: Seconds between two looks.
_LOOK: Final = 0.001
#: How many times as long as it worked it stands back at most: it has to come to an end on a busy server.
_MOST: Final = 10.0


@contextlib.contextmanager
def giving_way(busy: Callable[[], bool], work: float = WORK) -> Iterator[None]:
    """Stand back while others are busy, in this thread and this block; not in what is written in C.

    Args:
        busy: whether anybody waits now; asked from this thread.
        work: seconds of this thread's own time between two looks.
    """
    clock, sleep = time.thread_time, time.sleep
    until, calls = clock() + work, 0

    def look(*_: Any) -> None:
        nonlocal until, calls
        calls += 1
        if calls % _CALLS:
            return
        worked = clock() - until + work
        if worked < work:
            return
        back = time.monotonic() + _MOST * worked
        while busy() and time.monotonic() < back:
            sleep(_LOOK)
        until = clock() + work

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(before)
