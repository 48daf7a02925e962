"""When requests are meant to be sent, decided before the first one is."""

from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Kind = Literal["poisson", "fixed"]


def arrivals(rate: float, seconds: float, kind: Kind = "poisson", seed: int = 1) -> Floats:
    """Instants in seconds from the start, float64 [n], ascending, below ``seconds``.

    ``fixed`` puts ``rate`` requests evenly into each second; ``poisson`` has independent, exponential gaps
    of the same mean, as many users who do not know of each other have.

    >>> arrivals(4, 1, "fixed").tolist()
    [0.0, 0.25, 0.5, 0.75]
    """
    if rate <= 0 or seconds <= 0:
        raise ValueError(f"rate {rate} a second for {seconds} s: both must be above 0")
    if kind == "fixed":
        return np.arange(0, seconds, 1 / rate)
    rng = np.random.default_rng(seed)
    expected = rate * seconds
    gaps = rng.exponential(1 / rate, int(expected + 6 * expected**0.5 + 10))
    instants: Floats = np.cumsum(gaps)
    return instants[instants < seconds]
