"""What estimators are given, and what they give back."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Logged:
    """One element a slate, all of one length.

    Attributes:
        users: whose slate it is, as dense codes.
        rewards: what came of it.
        weights: the probability of what was shown under the policy in question, over its propensity.
        modelled: what a model expects of what was shown.
        expected: what the model expects of what the policy would show.
    """

    users: Codes
    rewards: Floats
    weights: Floats
    modelled: Floats
    expected: Floats


class Terms(NamedTuple):
    """An estimate is the sum of ``above`` over the sum of ``below``, each one element a slate."""

    above: Floats
    below: Floats
