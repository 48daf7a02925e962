"""The controller as a process: ticks until it is told to stop, then lets another one take over at once."""

import threading
import time
from collections.abc import Callable
from typing import Final

from slate.rollout.controller import Controller
from slate.rollout.lease import Lease, beating

#: Real seconds between two ticks.
TICK_SECONDS: Final = 1.0


def watch(
    controller: Controller,
    lease: Lease,
    stop: threading.Event,
    lease_seconds: float,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Tick until ``stop`` is set; then give the lease back.

    Args:
        say: told in one line when the lease is taken and lost.
    """
    done = threading.Event()
    beat = beating(lease, lease_seconds, done)
    held: bool | None = None
    try:
        while not stop.is_set():
            began = time.monotonic()
            now = controller.tick()
            if now is not held:
                held = now
                say("watching" if held else f"waiting: {lease.other or 'another controller'} is watching")
            stop.wait(max(TICK_SECONDS - (time.monotonic() - began), 0.05))
    finally:
        done.set()
        beat.join()
        lease.give_back()
