"""How much a server can sustain."""

from dataclasses import dataclass
from typing import Any, Final

from benchmarks.serving.contenders import Running
from benchmarks.serving.drive import Bench
from benchmarks.serving.generator import Record
from benchmarks.serving.summary import Summary, summarise
from benchmarks.serving.worlds import World

#: Offered rates, as multiples of what a closed loop reached: up until one is too much, else down.
_UP: Final = (0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5)
_DOWN: Final = (0.7, 0.6, 0.5, 0.35, 0.2)
_CONNECTIONS: Final = 32
#: A rate is sustained where so much of it was answered well in time, and no longer a backlog was left.
_ENOUGH: Final = 0.95
_KEPT_UP: Final = 0.97


@dataclass(frozen=True)
class Capacity:
    """The highest rate that was sustained (saturation), the highest goodput at any rate, and the steps."""

    saturation: float
    peak_goodput: float
    closed: float
    steps: tuple[dict[str, Any], ...]


def find(bench: Bench, running: Running, world: World, seconds: float) -> Capacity:
    """Offer more and more until it is too much; all times in seconds, rates in requests a second."""
    closed = bench.closed(running, world, _CONNECTIONS, seconds)
    steps: list[tuple[Summary, bool]] = []
    for multiples in (_UP, _DOWN):
        for multiple in multiples:
            record = bench.open(running, world, max(closed * multiple, 1.0), seconds)
            told = summarise(record, seconds, bench.deadline_ms)
            steps.append((told, sustained(record, told, seconds)))
            if steps[-1][1] is (multiples is _DOWN):
                break
        if any(held for _, held in steps):
            break
    return Capacity(
        saturation=max((told.offered for told, held in steps if held), default=0.0),
        peak_goodput=max(told.goodput for told, _ in steps),
        closed=closed,
        steps=tuple({**told.plain(), "sustained": held} for told, held in steps),
    )


def sustained(record: Record, told: Summary, seconds: float) -> bool:
    """Whether a server kept up: nearly all answers good and in time, and the last not long after the plan.

    A server that is a little too slow still answers all of a short run within the deadline; its backlog
    shows in when it ends.
    """
    if told.goodput < _ENOUGH * told.offered:
        return False
    ended = float(record.done.max() - record.intended[0])
    return seconds / max(ended, seconds) >= _KEPT_UP
