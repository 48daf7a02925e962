"""Let a thread that computes in Python work only while nobody else has to wait for it.

A release is opened beside the one that answers, in a second or two of which most is Python: every step of a
request meanwhile would wait for its turn with the interpreter, and on a busy core for the processor, too. The
kernel gives the processor to others first where it is told so; of the interpreter it knows nothing, so a
thread stands back from that by itself, as it calls functions.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

#: Seconds of its own work that a thread does before it stands back again, where others never cease to wait.
WORK: Final = 0.001
#: Seconds for which it stands back at most: it has to come to an end on a busy server.
PATIENCE: Final = 0.02
#: Steps of priority behind the event loop for those who answer: where all share a processor, a batch takes as
#: long as before, and whoever is refused meanwhile hears of it at once.
ANSWERING: Final = 5
#: And for who loads: a sixth of a processor that those who answer could use up. With more a release opens
#: late or never.
LOADING: Final = 12
#: At every so manieth call of a function it looks whether others wait.
_CALLS: Final = 8


def step_back(steps: int) -> None:
    """Leave others most of the processor where it is used up, from now on: there is no way back.

    Args:
        steps: of priority behind the process; no fewer than this thread took before.

    Threads that it starts inherit it; ScaNN has one for each index, which only parallel searches use.
    """
    # From where the process is: nobody may rise, and beside one that was put first a fixed place starves.
    place = os.getpriority(os.PRIO_PROCESS, os.getpid()) + steps
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), place)


@contextlib.contextmanager
def giving_way(quiet: threading.Event, patience: float = PATIENCE) -> Iterator[None]:
    """Stand back while others are busy, in this thread and this block; not in what is written in C.

    Whoever stands back sleeps: a thread that looks now and then whether it may go on takes the interpreter
    from those it waits for, each time.

    Args:
        quiet: set while nobody waits.
        patience: seconds to stand back at most, before some more work.
    """
    clock, is_quiet = time.thread_time, quiet.is_set
    until, calls = 0.0, 0

    def look(*_: Any) -> None:
        nonlocal until, calls
        calls += 1
        if calls % _CALLS or is_quiet() or clock() < until:
            return
        until = 0.0 if quiet.wait(patience) else clock() + WORK

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(before)
