"""Observations that do not weigh the same, for shares that move while users come.

A user who came while the candidate's share was p weighs 1 - p in the candidate's arm and p in stable's:
overlap weights (Li, Morgan and Zaslavsky, "Balancing Covariates via Propensity Score Weighting", JASA 2018).
At every share both arms then weigh the same together, so an hour in which everybody does more counts for both
alike, and nobody weighs more than one. The difference of the weighted means is, but for terms of lower order,
the sum of ``(T - p) (Y - mean)`` over the sum of ``p (1 - p)``: a martingale where the arms are equal,
however p followed from what was seen before, and its variance grows with ``sum p (1 - p)``. That sum is what
:func:`effective` counts of both arms make in :func:`slate.rollout.judge.sequences.difference`, so one
boundary serves fixed and moving shares. Weights that are all equal change nothing.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Fewer observations have no variance.
_FEWEST: Final = 2


@dataclass(frozen=True)
class Moments:
    """Of weighted observations: how many equal ones tell as much, means [columns], and covariances.

    A covariance over ``count`` is that of the means, whatever the weights (the sandwich estimator).
    """

    count: float
    means: Floats
    covariances: Floats


def effective(weights: npt.ArrayLike) -> float:
    """How many equal observations tell as much: ``(sum w) ** 2 / sum w ** 2``.

    After Kish, "Survey Sampling" (1965).

    >>> effective([1.0, 1.0, 1.0]), effective([1.0, 0.0]), effective([])
    (3.0, 1.0, 0.0)
    """
    given = np.asarray(weights, dtype=np.float64)
    squares = float((given**2).sum())
    return float(given.sum()) ** 2 / squares if squares > 0 else 0.0


def moments(values: Floats, weights: Floats) -> Moments:
    """Of ``values`` [observations, columns]; NaN where there are too few that weigh something.

    >>> found = moments(np.array([[1.0], [3.0], [99.0]]), np.array([1.0, 1.0, 0.0]))
    >>> found.count, found.means.tolist(), found.covariances.tolist()
    (2.0, [2.0], [[2.0]])
    """
    kept = weights > 0
    values, weights = values[kept], weights[kept]
    users, columns = values.shape
    if users == 0:
        return Moments(0.0, np.full(columns, np.nan), np.full((columns, columns), np.nan))
    shares = weights / weights.sum()
    means = shares @ values
    if users < _FEWEST:
        return Moments(float(users), means, np.full((columns, columns), np.nan))
    apart = (values - means) * shares[:, None]
    count = effective(weights)
    return Moments(count, means, count * users / (users - 1) * apart.T @ apart)
