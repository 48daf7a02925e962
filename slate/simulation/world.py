"""A world whose truth is known: users and items with tastes that nobody else is told."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from slate.simulation.tastes import Floats, Tastes

_TASTES: Final = 6
_GENRES: Final = 8
#: How steeply popularity falls with rank (Zipf's law), and how much of it is quality.
_TAIL, _EARNED = 0.7, 0.35
#: How many items are there from the first day on; the others appear one by one.
_FIRST: Final = 0.5
#: How often an item stands in a genre that is not its own.
_MISPLACED: Final = 0.15


@dataclass(frozen=True)
class Size:
    """How large a world is: its users, items, and the days and mean visits a user of its log."""

    users: int
    items: int
    days: float
    visits: float


@dataclass(frozen=True)
class World:
    """Users and items.

    ``attraction`` [items] says how often an item was shown, whatever it is like; ``appeared`` [items] on
    which day. ``activity`` [users] is how often a user comes, 1 on average. ``genre`` [items] and
    ``brightness`` [items] are what is written on an item, and tell something of its taste.
    """

    seed: int
    size: Size
    tastes: Tastes
    attraction: Floats
    appeared: Floats
    activity: Floats
    genre: npt.NDArray[np.int64]
    brightness: Floats


def make_world(size: Size, seed: int) -> World:
    """The world of a seed, always the same."""
    generator = np.random.default_rng([seed, size.users, size.items])
    items, users = size.items, size.users
    anchors = _directions(generator, _GENRES)
    genre = generator.integers(_GENRES, size=items)
    item_tastes = _unit(anchors[genre] + 0.6 * generator.normal(size=(items, _TASTES)) / np.sqrt(_TASTES))
    # Somebody loves two genres, the first more.
    loved = np.array([generator.choice(_GENRES, 2, replace=False) for _ in range(users)])
    user_tastes = _unit(
        anchors[loved[:, 0]]
        + 0.5 * anchors[loved[:, 1]]
        + 0.4 * generator.normal(size=(users, _TASTES)) / np.sqrt(_TASTES)
    )
    attraction = -_TAIL * np.log(1 + generator.permutation(items))
    attraction -= attraction.mean()
    quality = _EARNED * attraction + 0.3 * generator.normal(size=items)
    appeared = np.where(generator.random(items) < _FIRST, 0.0, size.days * 0.9 * generator.random(items))
    activity = generator.lognormal(0.0, 0.4, users)
    shown_genre = np.where(
        generator.random(items) < _MISPLACED, generator.integers(_GENRES, size=items), genre
    )
    return World(
        seed=seed,
        size=size,
        tastes=Tastes(
            seed,
            [f"user-{n:05d}" for n in range(users)],
            [f"item-{n:04d}" for n in range(items)],
            user_tastes,
            item_tastes,
            quality,
        ),
        attraction=attraction,
        appeared=appeared,
        activity=activity / activity.mean(),
        genre=shown_genre,
        brightness=item_tastes[:, 0] + 0.3 * generator.normal(size=items),
    )


def _directions(generator: np.random.Generator, count: int) -> Floats:
    """Directions of length 1 that lie apart: each is drawn several times, the farthest is kept."""
    found = [_unit(generator.normal(size=_TASTES))]
    for _ in range(count - 1):
        drawn = _unit(generator.normal(size=(50, _TASTES)))
        found.append(drawn[np.argmin((drawn @ np.array(found).T).max(axis=1))])
    return np.array(found)


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), dtype=np.float64)
