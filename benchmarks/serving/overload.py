"""More than a server can do: what it still answers well, how fast it refuses, how soon it recovers."""

from typing import Any, Final

import numpy as np

from benchmarks.serving.contenders import Running
from benchmarks.serving.drive import Bench
from benchmarks.serving.generator import Record
from benchmarks.serving.summary import latencies
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
    peak = max(each["goodput"] for each in found)
    for each in found:
        each["of_peak"] = round(each["goodput"] / peak, 3) if peak else None
    return found


def recovery(record: Record, deadline_ms: float) -> float:
    """Seconds from the first request until the last that was not answered well within the deadline."""
    wrong = ~record.good | (latencies(record) > deadline_ms)
    return float(record.done[wrong].max() - record.intended[0]) if np.any(wrong) else 0.0
