"""Tastes decide alone, and always the same; what they are worth is what users do on average."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from slate.simulation.chance import chance
from slate.simulation.tastes import WEIGHTS, Tastes, looks
from slate.simulation.world import World


def pair(match: float, quality: float = 0.0, seed: int = 1) -> Tastes:
    """One user and one item whose tastes match so well."""
    other = np.array([[match, math.sqrt(1 - match**2)]])
    return Tastes(seed, ["u"], ["i"], np.array([[1.0, 0.0]]), other, np.array([quality]))


def test_chance_is_even_and_of_different_subjects_independent() -> None:
    drawn = np.array([[chance(7, what, n) for n in range(4000)] for what in ("like", "hide")])
    assert abs(drawn.mean() - 0.5) < 4 * math.sqrt(1 / 12 / 8000)
    assert abs(drawn.var() - 1 / 12) < 0.005
    assert abs(np.corrcoef(drawn)[0, 1]) < 4 / math.sqrt(4000)
    assert chance(1, "a", "b") != chance(1, "ab"), "parts do not run together"


def test_an_item_is_worth_what_its_match_and_quality_make_of_it() -> None:
    likes = 1 / (1 + math.exp(1.7 - 3.6 * 0.8 - 0.5))
    hides = 1 / (1 + math.exp(3.2 + 2.4 * 0.8))
    worth = likes + 3 * 0.06 * likes + 2 * 0.1 * likes - 2 * hides - 5 * 0.02 * hides
    assert math.isclose(pair(0.8, 0.5).worth(0)[0], worth)
    assert pair(0.9).worth(0)[0] > pair(0.2).worth(0)[0] > pair(-0.9).worth(0)[0]
    assert pair(-0.9).worth(0)[0] < 0 < pair(0.9).worth(0)[0]


def test_what_users_do_is_on_average_what_a_slate_is_worth(world: World) -> None:
    tastes, visits = world.tastes, 3000
    user, shown = tastes.users[5], tastes.items[10:18]
    done = np.array(
        [sum(WEIGHTS[a.event] for a in tastes.act(user, visit, shown)) for visit in range(visits)]
    )
    assert abs(done.mean() - tastes.expected(user, shown)) < 4 * done.std() / math.sqrt(visits)


def test_who_looks_down_a_slate_does_less_there(world: World) -> None:
    assert [looks(p) for p in (1, 2, 5)] == sorted((looks(p) for p in (1, 2, 5)), reverse=True)
    tastes = world.tastes
    best = tastes.items[int(np.argmax(tastes.worth(0)))]
    rest = tastes.items[:9] if best not in tastes.items[:9] else tastes.items[9:18]
    first, last = (best, *rest), (*rest, best)
    counts = [
        sum(a.item_id == best for v in range(300) for a in tastes.act(tastes.users[0], v, shown))
        for shown in (first, last)
    ]
    assert counts[0] > 2 * counts[1] > 0


@given(st.integers(0, 10), st.lists(st.integers(0, 59), min_size=1, max_size=12, unique=True), st.data())
def test_a_choice_depends_on_nothing_else_that_is_shown(
    world: World, visit: int, places: list[int], data: st.DataObject
) -> None:
    tastes = world.tastes
    shown = [tastes.items[place] for place in places]
    where = data.draw(st.integers(0, len(shown) - 1))
    others = ["unknown"] * len(shown)
    alone = tastes.act(tastes.users[2], visit, [*others[:where], shown[where], *others[where + 1 :]])
    together = tastes.act(tastes.users[2], visit, shown)
    assert alone == [action for action in together if action.item_id == shown[where]]


def test_unknown_items_are_worth_nothing_and_nobody_acts_on_them(world: World) -> None:
    user = world.tastes.users[0]
    assert world.tastes.expected(user, ["never heard of"]) == 0
    assert world.tastes.act(user, 1, ["never heard of"]) == []
