"""Whether the arms have the users that they should have: a test that may be repeated as users come.

After Lindon and Malek, "Anytime-Valid Inference for Multinomial Count Data" (NeurIPS 2022): a Dirichlet
mixture over shares against the share that was meant. The Bayes factor is a martingale where the share is as
meant, so by Ville's inequality it exceeds ``1 / alpha`` ever with a probability of ``alpha`` at most. A lost
or doubled user shows here, whatever the metric says.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

#: How many users the prior is worth: sharpest for shares that are off by about 1 / (2 sqrt(this)).
CONCENTRATION: Final = 10_000.0


def log_bayes_factor(
    stable: int, candidate: int, share: float, concentration: float = CONCENTRATION
) -> float:
    """The logarithm of how much likelier the counts are with some other share than with ``share``.

    ``log B(a + c, b + s) / B(a, b) - c log(share) - s log(1 - share)`` with ``a = concentration * share`` and
    ``b = concentration * (1 - share)``, in the order in which the users came.

    Args:
        share: of users that should be the candidate's, between 0 and 1.

    >>> log_bayes_factor(0, 0, 0.5)
    0.0
    >>> log_bayes_factor(1000, 1000, 0.5) < 0 < log_bayes_factor(100_000, 98_000, 0.5)
    True
    """
    a, b = concentration * share, concentration * (1 - share)
    return (
        _log_beta(a + candidate, b + stable)
        - _log_beta(a, b)
        - candidate * math.log(share)
        - stable * math.log1p(-share)
    )


def log_bayes_factors(
    stable: npt.NDArray[np.int64], candidate: npt.NDArray[np.int64], share: float
) -> npt.NDArray[np.float64]:
    """:func:`log_bayes_factor` of each element."""
    flat = [log_bayes_factor(int(s), int(c), share) for s, c in zip(stable.flat, candidate.flat, strict=True)]
    return np.array(flat).reshape(stable.shape)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
