"""How slates were answered: by which rung, how fast, and how many were empty."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from slate import columns
from slate.monitoring.log import LATENCY, RUNG, SHOWN, VARIANT

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Quality:
    """One variant: slates by rung, latency in milliseconds (None without a record of it), empty slates."""

    variant: str
    slates: int
    users: int
    rungs: dict[str, int]
    p50: float | None
    p95: float | None
    p99: float | None
    empty: int


def qualities(exposures: pa.Table) -> Iterator[tuple[Quality, pa.Table]]:
    """Each variant's quality, with its exposures."""
    for variant in sorted(exposures[VARIANT].unique().to_pylist()):
        own = exposures.filter(pc.equal(exposures[VARIANT], variant))
        times = own[LATENCY].drop_null().to_numpy()
        p50, p95, p99 = (
            (float(value) for value in np.percentile(times, (50, 95, 99))) if len(times) else (None,) * 3
        )
        rungs = sorted(own[RUNG].value_counts().to_pylist(), key=lambda entry: -entry["counts"])
        yield (
            Quality(
                variant,
                own.num_rows,
                pc.count_distinct(own[columns.USER]).as_py(),
                {entry["values"]: entry["counts"] for entry in rungs},
                p50,
                p95,
                p99,
                int(without_items(own).sum()),
            ),
            own,
        )


def without_items(exposures: pa.Table) -> Mask:
    """Which slates are empty."""
    found: Mask = np.asarray(pc.equal(pc.list_value_length(exposures[SHOWN]), 0))
    return found
