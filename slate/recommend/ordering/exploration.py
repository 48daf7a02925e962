"""One position that now and then shows something else, with the probability of what it shows."""

import hashlib
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from slate.recommend.arrays import Places

_WORD: Final = 2.0**-53


class Explored(NamedTuple):
    """Places in slate order, and with which probability each position shows what it shows."""

    places: Places
    propensities: npt.NDArray[np.float64]


def explored(order: Places, k: int, rate: float, position: int | None, pool: int, seed: int) -> Explored:
    """The first ``k`` of ``order``, one of them perhaps exchanged.

    The pool of a position is what the order puts there and the best after the first ``k``, ``pool`` places in
    all, m where there are fewer. With probability ``rate`` the position shows one of them, each with 1 / m.
    So what the order puts there is shown with probability 1 - rate + rate / m, each of the others with rate
    / m; every other position shows what it shows with certainty.

    Args:
        order: places of candidates, best first; ``k + pool - 1`` of them matter.
        position: from 1; the last of the slate without one. A slate that is shorter is left as it is.
        seed: the same seed shows the same.
    """
    places = order[:k].copy()
    propensities = np.ones(len(places))
    at = len(places) if position is None else position
    if rate == 0.0 or not 1 <= at <= len(places):
        return Explored(places, propensities)
    others = order[k : k + pool - 1]
    size = 1 + len(others)
    explores, choice = _uniform(seed)
    if explores < rate:
        drawn = int(choice * size)
        if drawn:
            places[at - 1] = others[drawn - 1]
            propensities[at - 1] = rate / size
            return Explored(places, propensities)
    propensities[at - 1] = 1.0 - rate + rate / size
    return Explored(places, propensities)


def _uniform(seed: int) -> tuple[float, float]:
    """Two numbers in [0, 1), the same on every machine."""
    digest = hashlib.blake2b(f"exploration {seed}".encode(), digest_size=16).digest()
    first, second = (int.from_bytes(digest[i : i + 8], "big") >> 11 for i in (0, 8))
    return first * _WORD, second * _WORD
