"""How much a server can sustain."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from benchmarks.serving.contenders import Running
from benchmarks.serving.drive import Bench
from benchmarks.serving.generator import Record
from benchmarks.serving.summary import Summary, latencies, summarise
from benchmarks.serving.worlds import World

#: Connections of the closed loops that find where to look: a server that batches needs many to show what it
#: can do, and one that keeps deadlines gives up its best answers where there are too many.
_CONNECTIONS: Final = (4, 12, 32)
#: From there up by these steps while it holds, else down.
_FIRST: Final = 0.8
_UP: Final = 1.12
_DOWN: Final = 0.8
_STEPS: Final = 14
#: A rate is sustained where so much of it was answered well in time, and waits grew no faster than this
#: share of the time that passed.
_ENOUGH: Final = 0.95
_GROWTH: Final = 0.03


@dataclass(frozen=True)
class Capacity:
    """The highest rate that was sustained (saturation), the highest goodput at any rate, and the steps."""

    saturation: float
    peak_goodput: float
    closed: float
    steps: tuple[dict[str, Any], ...]


def find(bench: Bench, running: Running, world: World, seconds: float) -> Capacity:
    """Offer more and more until it is too much; all times in seconds, rates in requests a second."""
    share = seconds / len(_CONNECTIONS)
    closed = max(bench.closed(running, world, count, share) for count in _CONNECTIONS)
    steps: list[tuple[Summary, bool]] = []

    def holds(rate: float) -> bool:
        record = bench.open(running, world, rate, seconds)
        told = summarise(record, seconds, bench.deadline_ms)
        steps.append((told, sustained(record, told, seconds)))
        return steps[-1][1]

    climb(max(_FIRST * closed, 1.0), holds)
    return Capacity(
        saturation=max((told.offered for told, held in steps if held), default=0.0),
        peak_goodput=max(told.goodput for told, _ in steps),
        closed=closed,
        steps=tuple({**told.plain(), "sustained": held} for told, held in steps),
    )


def climb(first: float, holds: Callable[[float], bool]) -> None:
    """Try rates until the highest that holds is known to a step: up from the first if it holds, else down.

    A rate that fails is tried once more before it counts: chance alone crowds some requests of a short run.
    """

    def kept(rate: float) -> bool:
        return holds(rate) or holds(rate)

    rising = kept(first)
    rate = first
    for _ in range(_STEPS - 1):
        rate *= _UP if rising else _DOWN
        if kept(rate) is not rising:
            return


def sustained(record: Record, told: Summary, seconds: float) -> bool:
    """Whether a server kept up: nearly all answers good and in time, and no backlog growing.

    A server that is a little too slow still answers all of a short run within the deadline; its backlog
    shows in waits that grow by as much as it is too slow. They are compared by medians, from the first third
    of the run to the last.
    """
    if told.goodput < _ENOUGH * told.offered:
        return False
    waits = latencies(record)
    third = max(1, len(waits) // 3)
    growth_ms = float(np.median(waits[-third:]) - np.median(waits[:third]))
    return growth_ms <= _GROWTH * 1000 * seconds * 2 / 3
