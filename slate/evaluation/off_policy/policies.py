"""Policies that the log alone can follow: what the order put at the slot, and any of its pool alike.

Which draw a propensity tells of follows from how the slot was filled
(:mod:`slate.recommend.ordering.exploration`): with a rate r and m items in the pool, the order's own item was
shown with ``1 - r + r / m``, each other with ``r / m``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from slate.config import ExplorationConfig
from slate.errors import DataError
from slate.evaluation.off_policy.slots import PROPENSITY, RELEASE, Slots

Floats = npt.NDArray[np.float64]
Policy = Literal["greedy", "uniform"]

_CLOSE: Final = 1e-9


@dataclass(frozen=True)
class Drawn:
    """Of each slot: how many items were in its pool, and whether the order's own one was shown.

    ``own`` is 1, 0, or NaN where the propensity does not tell, because all of the pool have the same.
    """

    pool: npt.NDArray[np.int64]
    own: Floats


def drawn(slots: Slots, explorations: Mapping[str, ExplorationConfig]) -> Drawn:
    """What was drawn at each slot.

    Args:
        explorations: by the release that answered.

    Raises:
        DataError: a propensity is not one that its release draws with, or fits pools of two sizes.
    """
    chances = slots.numbers(PROPENSITY)
    releases = np.array(slots.table[RELEASE].to_pylist())
    pool, own = np.zeros(chances.size, np.int64), np.zeros(chances.size)
    for release_id, exploration in explorations.items():
        rows = releases == release_id
        distinct, places = np.unique(chances[rows], return_inverse=True)
        found = [_draw(float(chance), release_id, exploration) for chance in distinct]
        pool[rows] = np.array([each[0] for each in found], np.int64)[places]
        own[rows] = np.array([each[1] for each in found])[places]
    return Drawn(pool, own)


def chosen(policy: Policy, found: Drawn) -> Floats:
    """With which probability the policy shows what was shown.

    ``greedy`` always shows what the order put there, ``uniform`` each of the pool alike.

    Raises:
        DataError: the log does not tell what the order put there.
    """
    if policy == "uniform":
        return 1.0 / found.pool
    unknown = int(np.isnan(found.own).sum())
    if unknown:
        raise DataError(
            f"{unknown} of {found.own.size} slots were drawn evenly (recommend.exploration.rate is 1), so "
            "the log does not tell which item the order put there; estimate uniform or a --release"
        )
    return found.own


def _draw(chance: float, release_id: str, exploration: ExplorationConfig) -> tuple[int, float]:
    rate = exploration.rate
    sizes = range(2, exploration.pool + 1)
    fits = [(m, 1.0) for m in sizes if abs(chance - (1 - rate + rate / m)) < _CLOSE]
    fits += [(m, 0.0) for m in sizes if abs(chance - rate / m) < _CLOSE]
    if len(fits) == 1:
        return fits[0]
    if fits and len({m for m, _ in fits}) == 1:
        return fits[0][0], math.nan
    drawn_with = f"release {release_id} explores with rate {rate:g} and pool {exploration.pool}"
    if not fits:
        raise DataError(
            f"propensity {chance:g}: {drawn_with}, and never draws with it; see who changed either"
        )
    raise DataError(
        f"propensity {chance:g}: {drawn_with}, which draws so from pools of two sizes; estimate a --release "
        "instead, or explore with a lower rate"
    )
