"""Intervals for means over users: the bootstrap, BCa, deterministic by seed.

Users are drawn with replacement, so the interval speaks of other users of the same kind. BCa
(bias-corrected and accelerated: Efron, 1987; Efron and Tibshirani, 1993, chapter 14) is used instead of
plain percentiles because metrics of single targets are skewed: most users score 0. The acceleration
comes from the empirical influence values, which for a mean are ``x - mean`` and for a ratio of means
``(x - ratio * y) / mean(y)``. Two-sided intervals hold 95%, one-sided bounds hold 95% on their side.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from slate.errors import DataError

Floats = npt.NDArray[np.float64]
Finite = Annotated[float, Field(allow_inf_nan=False)]

CONFIDENCE: Final = 0.95
POWER: Final = 0.80
_NORMAL: Final = NormalDist()
_CHUNK: Final = 4_000_000


@dataclass(frozen=True)
class Estimate:
    """A mean over users with its two-sided 95% interval, None for fewer than two users."""

    value: Finite
    low: Finite | None
    high: Finite | None
    users: int


@dataclass(frozen=True)
class Difference:
    """Challenger minus reference over the same users.

    ``low`` to ``high`` is the two-sided 95% interval, ``lower`` and ``upper`` the one-sided 95% bounds.
    ``relative`` divides by the reference's mean, None where that is 0. ``detectable`` is the smallest
    true loss that a refusal on ``upper < 0`` would have caught four times out of five, as a positive
    number in the metric's own unit. Bounds are None for fewer than two users.
    """

    users: int
    challenger: Finite
    reference: Finite
    value: Finite
    low: Finite | None
    high: Finite | None
    lower: Finite | None
    upper: Finite | None
    relative: Finite | None
    relative_low: Finite | None
    relative_high: Finite | None
    detectable: Finite | None
    detectable_relative: Finite | None


@dataclass(frozen=True)
class GroupDifference:
    """The mean of some users minus that of all others, ``group`` and ``rest``.

    ``low`` to ``high`` is the two-sided 95% interval, ``lower`` and ``upper`` the one-sided 95% bounds;
    None where either side has fewer than two users. ``relative`` divides by ``rest``, None where that is 0.
    """

    users: int
    others: int
    group: Finite
    rest: Finite
    value: Finite
    low: Finite | None
    high: Finite | None
    lower: Finite | None
    upper: Finite | None
    relative: Finite | None


class _Bounds(NamedTuple):
    low: float
    high: float
    lower: float
    upper: float


def resampled_means(values: Floats, resamples: int, seed: int) -> Floats:
    """Bootstrap means: ``values`` [n, m] gives float64 [resamples, m].

    The same ``n``, ``resamples`` and ``seed`` draw the same users, so columns, and calls, are paired.
    """
    n = len(values)
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, values.shape[1]))
    step = max(1, _CHUNK // n)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        means[start : start + rows] = counts @ values / n
    return means


def mean_estimates(values: Floats, resamples: int = 1000, seed: int = 1) -> list[Estimate]:
    """The mean of every column of ``values`` [users, m] with its interval.

    >>> one, = mean_estimates(np.array([[0.0], [0.0], [0.0], [1.0], [0.5]]), seed=3)
    >>> one.value, one.users, 0 <= one.low < one.value < one.high <= 1
    (0.3, 5, True)

    Raises:
        DataError: no users, or a value that is not finite.
    """
    values = _checked("values", values)
    n = len(values)
    means = values.mean(axis=0)
    if n < 2:
        return [Estimate(float(mean), None, None, n) for mean in means]
    draws = resampled_means(values, resamples, seed)
    estimates = []
    for column, mean in enumerate(means):
        bounds = _bca(float(mean), draws[:, column], values[:, column] - mean)
        estimates.append(Estimate(float(mean), bounds.low, bounds.high, n))
    return estimates


def paired_difference(
    challenger: Floats, reference: Floats, resamples: int = 1000, seed: int = 1
) -> Difference:
    """Compare two rankers over the same users, both float64 [users] in the same order.

    >>> d = paired_difference(np.array([0.4, 0.1, 0.6, 0.3]), np.array([0.2, 0.1, 0.5, 0.2]), seed=5)
    >>> round(d.value, 3), round(d.relative, 3), d.lower > 0, round(d.detectable, 3)
    (0.1, 0.4, True, 0.102)

    Raises:
        DataError: no users, lengths that differ, or a value that is not finite.
    """
    if np.shape(challenger) != np.shape(reference):
        raise DataError(
            f"paired difference: {np.shape(challenger)} values against {np.shape(reference)}; "
            "both must hold the same users in the same order"
        )
    both = _checked("paired difference", np.stack([challenger, reference], axis=1))
    n = len(both)
    mean, base = (float(m) for m in both.mean(axis=0))
    value = mean - base
    relative = value / base if base > 0 else None
    if n < 2:
        nothing = (None, None, None, None)
        return Difference(n, mean, base, value, *nothing, relative, *nothing)
    draws = resampled_means(both, resamples, seed)
    differences = both[:, 0] - both[:, 1]
    bounds = _bca(value, draws[:, 0] - draws[:, 1], differences - value)
    loss = detectable_loss(differences)
    ratio = None
    if relative is not None and np.all(draws[:, 1] > 0):
        ratios = draws[:, 0] / draws[:, 1] - 1.0
        ratio = _bca(relative, ratios, (both[:, 0] - (1.0 + relative) * both[:, 1]) / base)
    return Difference(
        users=n,
        challenger=mean,
        reference=base,
        value=value,
        low=bounds.low,
        high=bounds.high,
        lower=bounds.lower,
        upper=bounds.upper,
        relative=relative,
        relative_low=None if ratio is None else ratio.low,
        relative_high=None if ratio is None else ratio.high,
        detectable=loss,
        detectable_relative=loss / base if base > 0 else None,
    )


def ratio_estimate(above: Floats, below: Floats, resamples: int = 1000, seed: int = 1) -> Estimate:
    """The sum of ``above`` over the sum of ``below``, both float64 [users].

    No interval where users could be drawn among whom ``below`` sums to nothing.

    >>> found = ratio_estimate(np.array([1.0, 0.0, 3.0, 2.0]), np.array([1.0, 2.0, 3.0, 2.0]), seed=5)
    >>> found.value, found.low < found.value < found.high
    (0.75, True)

    Raises:
        DataError: no users, a value that is not finite, or nothing below.
    """
    nothing = np.column_stack([np.zeros(len(above)), np.ones(len(above))])
    return ratio_difference(np.column_stack([above, below]), nothing, resamples, seed)


def ratio_difference(mine: Floats, other: Floats, resamples: int = 1000, seed: int = 1) -> Estimate:
    """One ratio of sums less another, over the same users: both float64 [users, 2], above and below.

    Raises:
        DataError: no users, a value that is not finite, or nothing below.
    """
    both = _checked("ratio", np.concatenate([mine, other], axis=1))
    means = both.mean(axis=0)
    if min(means[1], means[3]) <= 0:
        raise DataError(f"ratio: {means[[1, 3]].min():g} below; nothing can be divided by that")
    ratios = means[0] / means[1], means[2] / means[3]
    value, users = float(ratios[0] - ratios[1]), len(both)
    if users < 2:
        return Estimate(value, None, None, users)
    draws = resampled_means(both, resamples, seed)
    if draws[:, [1, 3]].min() <= 0:
        return Estimate(value, None, None, users)
    influence = [(both[:, n] - ratios[n // 2] * both[:, n + 1]) / means[n + 1] for n in (0, 2)]
    drawn = draws[:, 0] / draws[:, 1] - draws[:, 2] / draws[:, 3]
    bounds = _bca(value, drawn, influence[0] - influence[1])
    return Estimate(value, bounds.low, bounds.high, users)


def group_difference(group: Floats, rest: Floats, resamples: int = 1000, seed: int = 1) -> GroupDifference:
    """Compare two sets of different users, float64 [n] and [m], each drawn with replacement by itself.

    The influence values of two samples are those of each over its size (Davison and Hinkley, 1997, Bootstrap
    Methods and their Application, section 3.2.1).

    >>> d = group_difference(np.array([0.1, 0.2, 0.0, 0.1]), np.array([0.4, 0.6]), seed=5)
    >>> round(d.value, 3), round(d.relative, 3), d.users, d.others, d.upper < 0
    (-0.4, -0.8, 4, 2, True)

    Raises:
        DataError: no user on a side, or a value that is not finite.
    """
    mine, theirs = (
        _checked(name, values)[:, np.newaxis] for name, values in (("group", group), ("rest", rest))
    )
    mean, base = float(mine.mean()), float(theirs.mean())
    value = mean - base
    relative = value / base if base > 0 else None
    sizes = len(mine), len(theirs)
    if min(sizes) < 2:
        return GroupDifference(*sizes, mean, base, value, None, None, None, None, relative)
    # Another seed, lest groups of one size be drawn in pairs.
    draws = resampled_means(mine, resamples, seed) - resampled_means(theirs, resamples, seed + 1)
    influence = np.concatenate([(mine[:, 0] - mean) / sizes[0], (base - theirs[:, 0]) / sizes[1]])
    return GroupDifference(*sizes, mean, base, value, *_bca(value, draws[:, 0], influence), relative)


def detectable_loss(differences: Floats, power: float = POWER, confidence: float = CONFIDENCE) -> float:
    """The smallest true loss that a one-sided test of paired differences finds with this power.

    ``(z(confidence) + z(power)) * sd / sqrt(n)``, the normal approximation (Cohen, 1988, chapter 2):
    with 80% power at 95% it is 2.486 standard errors.

    >>> round(detectable_loss(np.array([0.0, 2.0] * 50)), 4)  # sd 1.00504, se 0.100504
    0.2499
    """
    error = float(np.std(differences, ddof=1)) / math.sqrt(len(differences))
    return (_NORMAL.inv_cdf(confidence) + _NORMAL.inv_cdf(power)) * error


def widening(tests: int) -> float:
    """How much farther from the estimate a one-sided 95% bound lies when its 5% is split over some tests.

    The ratio of the two normal quantiles, after Bonferroni.

    >>> widening(1), round(widening(10), 3)
    (1.0, 1.566)
    """
    return _NORMAL.inv_cdf(1 - (1 - CONFIDENCE) / tests) / _NORMAL.inv_cdf(CONFIDENCE)


def _checked(name: str, values: Floats) -> Floats:
    values = np.asarray(values, dtype=np.float64)
    if len(values) == 0:
        raise DataError(f"{name}: no users; an interval needs at least one")
    if not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise DataError(f"{name}: {bad} of {values.size} are not finite; find the ranker that made them")
    return values


def _bca(estimate: float, draws: Floats, influence: Floats) -> _Bounds:
    """BCa limits of one statistic from its bootstrap ``draws`` [b] and influence values [n]."""
    if np.ptp(draws) == 0.0:
        return _Bounds(estimate, estimate, estimate, estimate)
    b = len(draws)
    below = (np.count_nonzero(draws < estimate) + 0.5 * np.count_nonzero(draws == estimate)) / b
    bias = _NORMAL.inv_cdf(float(np.clip(below, 0.5 / b, 1 - 0.5 / b)))
    spread = float(np.sum(influence**2))
    acceleration = float(np.sum(influence**3)) / (6.0 * spread**1.5) if spread > 0 else 0.0

    def level(probability: float) -> float:
        shifted = bias + _NORMAL.inv_cdf(probability)
        return float(_NORMAL.cdf(bias + shifted / (1.0 - acceleration * shifted)))

    tail = 1 - CONFIDENCE
    levels = [level(p) for p in (tail / 2, 1 - tail / 2, tail, 1 - tail)]
    low, high, lower, upper = (float(q) for q in np.quantile(draws, levels))
    return _Bounds(low, high, lower, upper)
