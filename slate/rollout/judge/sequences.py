"""Confidence sequences: intervals that hold at all looks together, however often one looks.

Asymptotic confidence sequences after Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central
limit theory and asymptotic confidence sequences" (Annals of Statistics, 2024): Robbins' normal mixture with
the variance estimated. A difference of two means over its variance, ``D / V``, moves like Brownian motion in
the time ``1 / V`` whatever share of users each arm gets and however that changes (Jennison and Turnbull,
"Group Sequential Methods", 2000, chapter 11), so one boundary serves every step of a ramp.

All functions take numbers or arrays of one shape.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from slate.rollout.judge.weights import moments

Figures: TypeAlias = float | npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """What is known of independent observations: how many, their mean, and their (sample) variance."""

    count: Figures
    mean: Figures
    variance: Figures


class Estimate(NamedTuple):
    """A figure, the variance of it, and how many equal observations tell as much (its information).

    ``size`` times ``variance`` is the variance of one observation.
    """

    value: Figures
    variance: Figures
    size: Figures


class Bounds(NamedTuple):
    """Each holds at all looks together with its own alpha."""

    low: Figures
    high: Figures


def sample(values: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Sample:
    """Of one observation an element; the variance is NaN below two of them.

    Args:
        weights: of observations that do not weigh the same; see :mod:`slate.rollout.judge.weights`.

    >>> sample([1.0, 2.0, 6.0])
    Sample(count=3, mean=3.0, variance=7.0)
    """
    given = np.asarray(values, dtype=np.float64)
    if weights is not None:
        found = moments(given[:, None], np.asarray(weights, dtype=np.float64))
        return Sample(found.count, float(found.means[0]), float(found.covariances[0, 0]))
    if given.size == 0:
        return Sample(0, math.nan, math.nan)
    variance = float(given.var(ddof=1)) if given.size > 1 else math.nan
    return Sample(given.size, float(given.mean()), variance)


def difference(stable: Sample, candidate: Sample, factor: float = 1.0) -> Estimate:
    """Of the means: candidate less ``factor`` times stable.

    >>> found = difference(Sample(100, 2.0, 4.0), Sample(50, 2.5, 3.0))
    >>> found.value, float(found.variance), round(float(found.size), 3)
    (0.5, 0.1, 33.333)
    """
    theirs, ours = np.float64(1) * candidate.count, np.float64(1) * stable.count
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = candidate.variance / theirs + factor**2 * stable.variance / ours
        size = theirs * ours / (theirs + ours)
    return Estimate(candidate.mean - factor * stable.mean, variance, size)


def mean(of: Sample) -> Estimate:
    """The mean itself."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return Estimate(of.mean, of.variance / (np.float64(1) * of.count), of.count)


def tuning(sharpest_at: float, alpha: float) -> float:
    """The mixture's rho that makes intervals narrowest at a size (in the paper: rho squared of section B.1).

    It has to be chosen before the data are seen; intervals hold for any choice.
    """
    spent = -2 * math.log(alpha)
    return math.sqrt((spent + math.log(spent + 1)) / sharpest_at)


def bounds(estimate: Estimate, alpha: float, sharpest_at: float) -> Bounds:
    """A lower and an upper confidence sequence, each one-sided with ``alpha``: together with twice of it.

    The half width is ``sqrt(V) * sqrt(2 (t r^2 + 1) / (t r^2) * log(1 + sqrt(t r^2 + 1) / (2 alpha)))``,
    with ``V`` the variance, ``t`` the size and ``r`` the tuning: the one-sided boundary of the paper.

    NaN where the estimate is not known, and where its variance is zero: no figure is that certain.
    """
    known = np.where(np.asarray(estimate.variance) > 0, estimate.variance, np.nan)
    half = np.sqrt(known) * factor(estimate.size, alpha, sharpest_at)
    low, high = estimate.value - half, estimate.value + half
    if np.ndim(estimate.value) == 0:
        return Bounds(float(low), float(high))
    return Bounds(low, high)


def factor(size: Figures, alpha: float, sharpest_at: float) -> npt.NDArray[np.float64]:
    """How many standard errors a bound lies from its estimate."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.asarray(size, dtype=np.float64) * tuning(sharpest_at, 2 * alpha) ** 2
        found = np.sqrt(2 * (scaled + 1) / scaled * np.log1p(np.sqrt(scaled + 1) / (2 * alpha)))
    return np.asarray(found, dtype=np.float64)
