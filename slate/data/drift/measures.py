"""Distances between distributions.

*Jensen-Shannon divergence* (Lin 1991, "Divergence measures based on the Shannon entropy"), base 2: the
mean of the two Kullback-Leibler divergences from the average of both; symmetric, from 0 to 1 bit.

*Population stability index*: the sum over bins of (actual - expected) ln(actual / expected), the symmetric
sum of both Kullback-Leibler divergences. By the usual rule of credit scoring (Siddiqi 2006, "Credit Risk
Scorecards") below 0.1 is stable and above 0.25 a shift. Shares are floored at :data:`FLOOR`, so that an
empty bin makes a large and not an infinite index.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FLOOR: Final = 1e-4
_BINS: Final = 10
#: Counts outside what a snapshot lists by name.
REST: Final = "(all others)"


def aligned(first: Mapping[str, float], second: Mapping[str, float]) -> tuple[Floats, Floats, list[str]]:
    """Two histograms as shares over the same sorted names; all 0 where one is empty."""
    names = sorted({*first, *second})
    counts = [np.asarray([side.get(name, 0.0) for name in names], np.float64) for side in (first, second)]
    shares = [c / c.sum() if c.sum() > 0 else c for c in counts]
    return shares[0], shares[1], names


def jensen_shannon(first: Floats, second: Floats) -> float:
    """The divergence of two share vectors over the same bins, in bits."""
    middle = (first + second) / 2

    def kullback_leibler(shares: Floats) -> float:
        used = shares > 0
        return float(np.sum(shares[used] * np.log2(shares[used] / middle[used])))

    return max(0.0, (kullback_leibler(first) + kullback_leibler(second)) / 2)


def stability_index(expected: Floats, actual: Floats) -> float:
    """The population stability index of two share vectors over the same bins."""
    before, now = np.maximum(expected, FLOOR), np.maximum(actual, FLOOR)
    return float(np.sum((now - before) * np.log(now / before)))


def decile_shares(before: Sequence[float], now: Sequence[float]) -> tuple[Floats, Floats, list[str]]:
    """Two numeric columns, each given by its percentiles, in bins between the deciles of the first.

    Equal deciles fall together, so a column of few values has few bins. Shares are exact to 1 part in the
    number of percentiles given.
    """
    first, second = np.asarray(before, np.float64), np.asarray(now, np.float64)
    edges = np.unique(first[np.linspace(0, len(first) - 1, _BINS + 1).round().astype(int)])[:-1]
    if len(edges) == 0:
        edges = first[:1]

    def shares(percentiles: Floats) -> Floats:
        reached = np.searchsorted(percentiles, edges, side="right") / len(percentiles)
        return np.diff(np.r_[0.0, reached, 1.0])

    names = [f"up to {edge:g}" for edge in edges]
    return shares(first), shares(second), [*names, f"over {edges[-1]:g}"]
