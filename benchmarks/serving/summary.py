"""What a record of requests says, in numbers."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.serving.generator import Record
from benchmarks.serving.schedule import Floats


@dataclass(frozen=True)
class Summary:
    """Rates in requests a second, times in milliseconds.

    ``goodput`` are good answers within the deadline. Percentiles are exact and of all 200s that were good,
    failures not among them: ``failed`` counts those that were neither good nor refused (429, 503).
    ``whole_p99`` is of everything, a failure counting as long as it was waited for. ``lateness_p99`` is the
    generator's own share, and ``refused_p99`` the time in which refusals came.
    """

    offered: float
    goodput: float
    sent: int
    good: int
    refused: int
    failed: int
    p50: float | None
    p90: float | None
    p99: float | None
    p999: float | None
    worst: float | None
    whole_p99: float
    refused_p99: float | None
    lateness_p99: float

    def plain(self) -> dict[str, Any]:
        return {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def summarise(record: Record, seconds: float, deadline_ms: float) -> Summary:
    """Numbers of a record whose plan lasted ``seconds``."""
    latency = latencies(record)
    good = record.good
    refused = np.isin(record.status, (429, 503))
    in_time = good & (latency <= deadline_ms)
    return Summary(
        offered=len(latency) / seconds,
        goodput=float(in_time.sum()) / seconds,
        sent=len(latency),
        good=int(good.sum()),
        refused=int(refused.sum()),
        failed=int((~good & ~refused).sum()),
        p50=percentile(latency[good], 50),
        p90=percentile(latency[good], 90),
        p99=percentile(latency[good], 99),
        p999=percentile(latency[good], 99.9),
        worst=percentile(latency[good], 100),
        whole_p99=percentile(latency, 99) or 0.0,
        refused_p99=percentile(latency[refused], 99),
        lateness_p99=percentile(1000 * (record.noticed - record.intended), 99) or 0.0,
    )


def latencies(record: Record) -> Floats:
    """Milliseconds from the planned instant to the end of the answer, or until it was given up."""
    return 1000 * (record.done - record.intended)


def percentile(values: Floats, share: float) -> float | None:
    """The value that ``share`` percent do not exceed; None of nothing. The higher of two neighbours counts.

    >>> percentile(np.array([1.0, 2.0, 3.0, 4.0]), 50)
    3.0
    """
    if not len(values):
        return None
    return float(np.percentile(values, share, method="higher"))


def medians(seen: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The median of each figure; None where it was never there."""
    return {name: median(each[name] for each in seen if each[name] is not None) for name in seen[0]}


def median(values: Iterable[float]) -> float | None:
    """To three decimals; None of nothing."""
    listed = list(values)
    return round(statistics.median(listed), 3) if listed else None
