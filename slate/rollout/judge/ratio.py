"""Whether the arms have the users that they should have: a test that may be repeated as users come.

After Lindon and Malek, "Anytime-Valid Inference for Multinomial Count Data" (NeurIPS 2022): a Dirichlet
mixture over shares against the share that was meant. The Bayes factor is a martingale where the share is as
meant, so by Ville's inequality it exceeds ``1 / alpha`` ever with a probability of ``alpha`` at most. A lost
or doubled user shows here, whatever the metric says.

Where the share moves, a user came under a share that is known and that followed from what was seen before.
Losing a part of one arm's users multiplies the odds of every share by the same number, so the mixture is over
that number. Each user multiplies the likelihood ratio by a factor whose mean is 1 under the share of the
moment: a martingale again (Robbins, "Statistical Methods Related to the Law of the Iterated Logarithm",
Annals of Mathematical Statistics 1970).
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from slate.rollout.judge.evidence import Allocated

#: How many users the prior is worth: sharpest for shares that are off by about 1 / (2 sqrt(this)).
CONCENTRATION: Final = 10_000.0
#: The same for the logarithm of the odds at one half, as standard deviation: 1 / sqrt(CONCENTRATION / 4).
SPREAD: Final = 0.02
#: The mixture over it, out to 5 deviations: close enough together for millions of users.
_TILTS: Final = np.linspace(-5 * SPREAD, 5 * SPREAD, 801)
_WEIGHTS: Final = np.exp(-((_TILTS / SPREAD) ** 2) / 2)


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


def log_moving_factor(allocated: Sequence[Allocated]) -> float:
    """The logarithm of how much likelier the counts are with some other odds than with those of each share.

    ``log mean_d prod exp(d c) / (1 - share + share exp(d)) ** (c + s)`` over tilts d of the odds, normal with
    :data:`SPREAD`; c and s are the candidate's and stable's users of a share.

    Args:
        allocated: shares strictly between 0 and 1, or without users.

    >>> round(log_moving_factor([]), 9)
    0.0
    >>> from slate.rollout.judge.evidence import Arms
    >>> log_moving_factor([Allocated(0.5, Arms(1000, 1000)), Allocated(0.2, Arms(800, 200))]) < 0
    True
    """
    exponents = np.zeros_like(_TILTS)
    for share, (stable, candidate) in allocated:
        exponents += _TILTS * candidate - (stable + candidate) * np.log1p(share * np.expm1(_TILTS))
    most = exponents.max()
    return float(most + np.log(np.exp(exponents - most) @ _WEIGHTS / _WEIGHTS.sum()))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
