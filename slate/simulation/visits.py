"""When users come: an open loop, which waits for no answer."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from slate.simulation.world import World

_DAY: Final = 86_400.0
_AT_ONCE: Final = 1024


@dataclass(frozen=True)
class Visit:
    """A user comes: ``at`` simulated seconds from the beginning, for the ``number``-th time, from 1."""

    at: float
    user_id: str
    number: int


def visits(world: World, per_day: float, days: float = math.inf) -> Iterator[Visit]:
    """Visits in the order of time: a Poisson process, each by a user drawn by activity; always the same.

    Args:
        per_day: of a user, on average.
    """
    generator = np.random.default_rng([world.seed, 3])
    gap = _DAY / (per_day * world.size.users)
    share = world.activity / world.activity.sum()
    came: Counter[int] = Counter()
    now = 0.0
    while True:
        gaps = generator.exponential(gap, _AT_ONCE)
        who = generator.choice(world.size.users, _AT_ONCE, p=share)
        for wait, user in zip(gaps.tolist(), who.tolist(), strict=True):
            now += wait
            if now > days * _DAY:
                return
            came[user] += 1
            yield Visit(now, world.tastes.users[user], came[user])
