"""Distances between distributions, and how large chance alone makes them.

*Jensen-Shannon divergence* (Lin 1991, "Divergence measures based on the Shannon entropy"), base 2: the
mean of the two Kullback-Leibler divergences from the average of both; symmetric, from 0 to 1 bit.

*Population stability index*: the sum over bins of (actual - expected) ln(actual / expected), the symmetric
sum of both Kullback-Leibler divergences. By the usual rule of credit scoring (Siddiqi 2006, "Credit Risk
Scorecards") below 0.1 is stable and above 0.25 a shift. Shares are floored at :data:`FLOOR`, so that an
empty bin makes a large and not an infinite index.

*Chance*: for two samples of n and m from one distribution over B bins the index is about (1/n + 1/m) times
a chi-square of B - 1 degrees of freedom (Yurdakul 2018, "Statistical Properties of the Population
Stability Index"). To second order a divergence in bits is the index over 8 ln 2.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri

Floats = npt.NDArray[np.float64]

FLOOR: Final = 1e-4
#: How often chance alone may pass the limit that is derived from it.
CHANCE: Final = 1e-3
BITS_PER_INDEX: Final = 1 / (8 * np.log(2))
_BINS: Final = 10
_ROUNDING: Final = 1e-12
#: Counts outside what a snapshot lists by name; a snapshot with none lists every name.
REST: Final = "(all others)"


class Aligned(NamedTuple):
    """Two distributions as shares over the same bins."""

    first: Floats
    second: Floats
    bins: tuple[str, ...]


def aligned(first: Mapping[str, float], second: Mapping[str, float], most: int | None = None) -> Aligned:
    """Two histograms, by name; all shares are 0 where one is empty.

    A name that a shortened list lacks (one with :data:`REST`) is not absent: it may have as much as the least
    one listed. Of what is possible it is taken to have what is nearest to the other side's share.

    Args:
        most: only the names that are among so many most common of either side; the others go together.
    """
    names = sorted({*_most_common(first, most), *_most_common(second, most)})
    before, now = _shares(first), _shares(second)
    named = [_of_names(names, before, now), _of_names(names, now, before)]
    rest = [
        max(0.0, sum(side.values()) - float(of.sum())) for side, of in zip((before, now), named, strict=True)
    ]
    if max(rest) > _ROUNDING:
        return Aligned(np.append(named[0], rest[0]), np.append(named[1], rest[1]), (*names, REST))
    return Aligned(named[0], named[1], tuple(names))


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


def by_chance(bins: int, before: float, now: float) -> float:
    """The stability index that two samples of one distribution exceed in 1 of 1,000 cases.

    Args:
        bins: how many bins hold something.
        before, now: the sizes of the samples.
    """
    if bins < 2 or min(before, now) <= 0:
        return 0.0
    return float(chdtri(bins - 1, CHANCE)) * (1 / before + 1 / now)


def decile_shares(before: Sequence[float], now: Sequence[float]) -> Aligned:
    """Two numeric columns, each given by its percentiles, in bins between the deciles of the first.

    A value that a tenth or more of the first column hold is a bin of its own, so a column of few values has
    few bins. Shares are exact to 1 part in the number of percentiles given.
    """
    first, second = np.asarray(before, np.float64), np.asarray(now, np.float64)
    deciles = np.unique(first[np.linspace(0, len(first) - 1, _BINS + 1).round().astype(int)[1:-1]])
    often = [edge for edge in deciles if (first == edge).sum() >= len(first) // _BINS]
    edges = np.unique(np.r_[deciles, np.nextafter(often, -np.inf)])
    below = {float(np.nextafter(edge, -np.inf)): f"below {edge:g}" for edge in often}
    names = [below.get(edge) or f"up to {edge:g}" for edge in edges.tolist()]

    def shares(percentiles: Floats) -> Floats:
        reached = np.searchsorted(percentiles, edges, side="right") / len(percentiles)
        return np.diff(np.r_[0.0, reached, 1.0])

    return Aligned(shares(first), shares(second), (*names, f"over {edges[-1]:g}"))


def _most_common(counts: Mapping[str, float], most: int | None) -> list[str]:
    names = sorted((name for name in counts if name != REST), key=lambda name: (-counts[name], name))
    return names[:most]


def _shares(counts: Mapping[str, float]) -> dict[str, float]:
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()} if total > 0 else {}


def _of_names(names: Sequence[str], mine: Mapping[str, float], theirs: Mapping[str, float]) -> Floats:
    """My share of each name, supposed where my list is shortened and lacks it."""
    found = np.asarray([mine.get(name, 0.0) for name in names], np.float64)
    unlisted = mine.get(REST, 0.0)
    least = min((share for name, share in mine.items() if name != REST), default=0.0)
    if unlisted > 0:
        lacks = np.asarray([name not in mine for name in names], bool)
        supposed = np.minimum([theirs.get(name, 0.0) for name in names], least) * lacks
        found += supposed * min(1.0, unlisted / max(float(supposed.sum()), unlisted))
    return found
