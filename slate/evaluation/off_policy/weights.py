"""How much importance weights are worth, and how they are lowered."""

from dataclasses import replace

import numpy as np

from slate.errors import ConfigError
from slate.evaluation.off_policy.logged import Floats, Logged


def effective(weights: Floats) -> float:
    """How many slates of equal weight tell as much: ``(sum w) ** 2 / sum w ** 2``.

    After Kish, "Survey Sampling" (1965); for importance weights Owen, "Monte Carlo theory, methods and
    examples" (2013), section 9.3.

    >>> effective(np.array([1.0, 1.0, 0.0, 0.0])), effective(np.zeros(3))
    (2.0, 0.0)
    """
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0


def clipped(logged: Logged, most: float) -> tuple[Logged, int]:
    """No weight above ``most``, and how many were.

    That bounds the variance at the price of a bias (Ionides, "Truncated Importance Sampling", Journal of
    Computational and Graphical Statistics 2008).

    Raises:
        ConfigError: ``most`` is not above 0.
    """
    if not most > 0:
        raise ConfigError(f"clip {most:g}: weights can be lowered to a number above 0 only")
    lowered = replace(logged, weights=np.minimum(logged.weights, most))
    return lowered, int((logged.weights > most).sum())
