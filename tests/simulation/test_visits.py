"""Users come by a Poisson process that asks nobody."""

import itertools
import math
from collections import Counter

import numpy as np

from slate.simulation.visits import visits
from slate.simulation.world import World


def test_visits_are_the_same_every_time_however_long_they_go_on(world: World) -> None:
    short = list(visits(world, per_day=2.0, days=1))
    assert short == list(itertools.takewhile(lambda v: v.at <= 86_400, visits(world, per_day=2.0, days=4)))


def test_as_many_come_as_said_the_active_more_often_and_gaps_are_exponential(world: World) -> None:
    came = list(visits(world, per_day=3.0, days=20))
    expected = 3 * 20 * world.size.users
    assert abs(len(came) - expected) < 4 * math.sqrt(expected)
    gaps = np.diff([visit.at for visit in came])
    assert (gaps >= 0).all()
    assert abs(gaps.std() / gaps.mean() - 1) < 0.05
    counts = Counter(visit.user_id for visit in came)
    often = [counts[user] for user in world.tastes.users]
    assert np.corrcoef(often, world.activity)[0, 1] > 0.9


def test_a_user_counts_the_own_visits(world: World) -> None:
    seen: Counter[str] = Counter()
    for visit in visits(world, per_day=1.0, days=5):
        seen[visit.user_id] += 1
        assert visit.number == seen[visit.user_id]
