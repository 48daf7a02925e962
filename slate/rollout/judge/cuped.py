"""CUPED: what users did before the rollout explains part of how they differ, and is taken out.

After Deng, Xu, Kohavi and Walker, "Improving the Sensitivity of Online Controlled Experiments by Utilizing
Pre-Experiment Data" (WSDM 2013). The covariate is from before any assignment, so it cannot differ between the
arms but by chance.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from slate.rollout.judge.sequences import Figures, Sample
from slate.rollout.judge.weights import moments


@dataclass(frozen=True)
class Pair:
    """Observations with a covariate: count, means, (sample) variances and their covariance."""

    count: Figures
    mean: Figures
    variance: Figures
    covariate_mean: Figures
    covariate_variance: Figures
    covariance: Figures

    @property
    def plain(self) -> Sample:
        """Without the covariate."""
        return Sample(self.count, self.mean, self.variance)


def pair(values: npt.ArrayLike, covariates: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Pair:
    """Of one observation an element and its covariate.

    Args:
        weights: of observations that do not weigh the same; see :mod:`slate.rollout.judge.weights`.

    >>> pair([1.0, 3.0], [0.0, 4.0])
    Pair(count=2, mean=2.0, variance=2.0, covariate_mean=2.0, covariate_variance=8.0, covariance=4.0)
    """
    y, x = np.asarray(values, dtype=np.float64), np.asarray(covariates, dtype=np.float64)
    if weights is not None:
        found = moments(np.column_stack([x, y]), np.asarray(weights, dtype=np.float64))
        (before, after), spread = found.means, found.covariances
        return Pair(found.count, after, spread[1, 1], before, spread[0, 0], spread[0, 1])
    if y.size < 2:
        known = float(y.mean()) if y.size else math.nan
        return Pair(y.size, known, math.nan, math.nan, math.nan, math.nan)
    spread = np.cov(x, y, ddof=1)
    return Pair(
        y.size,
        float(y.mean()),
        float(spread[1, 1]),
        float(x.mean()),
        float(spread[0, 0]),
        float(spread[0, 1]),
    )


def adjusted(stable: Pair, candidate: Pair) -> tuple[Sample, Sample]:
    """Both arms without what the covariate explains; as they are where it is constant or not known.

    The coefficient is pooled over the arms, ``cov(X, Y) / var(X)``; means are taken at the mean covariate of
    all users.
    """
    users = stable.count + candidate.count
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = stable.count * stable.covariance + candidate.count * candidate.covariance
        spread = stable.count * stable.covariate_variance + candidate.count * candidate.covariate_variance
        theta = np.where(spread > 0, covariance / np.where(spread > 0, spread, 1.0), 0.0)
        centre = (stable.count * stable.covariate_mean + candidate.count * candidate.covariate_mean) / users
    return _without(stable, theta, centre), _without(candidate, theta, centre)


def _without(arm: Pair, theta: npt.NDArray[np.float64], centre: Figures) -> Sample:
    shift = np.where(theta == 0, 0.0, theta * (arm.covariate_mean - centre))
    variance = np.where(
        theta == 0,
        arm.variance,
        arm.variance - 2 * theta * arm.covariance + theta**2 * arm.covariate_variance,
    )
    mean = arm.mean - shift
    if np.ndim(arm.mean) == 0:
        return Sample(arm.count, float(mean), float(variance))
    return Sample(arm.count, mean, variance)
