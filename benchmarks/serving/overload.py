"""More than a server can do: what it still answers well, how fast it refuses, how soon it recovers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.serving.contenders import Running
from benchmarks.serving.drive import Bench
from benchmarks.serving.generator import Record
from benchmarks.serving.summary import latencies, medians
from benchmarks.serving.worlds import World

MULTIPLES: Final = (1, 2, 5, 10)
#: The load after an overload, as a share of saturation, under which a server must find back.
_AFTER: Final = 0.5


def measure(
    bench: Bench, running: Running, world: World, saturation: float, seconds: float, after_s: float
) -> list[dict[str, Any]]:
    """Figures by multiple of the saturation, in requests a second and milliseconds.

    Each overload lasts ``seconds``, the half load behind it ``after_s``.
    """
    found = []
    for multiple in MULTIPLES:
        told = bench.summary(running, world, multiple * saturation, seconds)
        after = bench.open(running, world, _AFTER * saturation, after_s, kind="fixed")
        found.append(
            {
                "multiple": multiple,
                **told.plain(),
                "recovery_s": round(recovery(after, bench.deadline_ms), 3),
            }
        )
    return found


def together(rounds: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The medians of several rounds, all failures, and the goodput at each load over what it could be: the
    best at any load, or what was offered where that was less.
    """
    steps = [
        {**medians(each), "failed": sum(round_["failed"] for round_ in each)}
        for each in zip(*rounds, strict=True)
    ]
    peak = max(step["goodput"] for step in steps)
    for step in steps:
        could = min(peak, step["offered"])
        step["of_peak"] = round(step["goodput"] / could, 3) if could else None
    return steps


def recovery(record: Record, deadline_ms: float) -> float:
    """Seconds from the first request until the last that was not answered well within the deadline."""
    wrong = ~record.good | (latencies(record) > deadline_ms)
    return float(record.done[wrong].max() - record.intended[0]) if np.any(wrong) else 0.0
