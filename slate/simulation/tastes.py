"""What users do with what they are shown: the truth that releases and judges have to find out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from slate.simulation.chance import chance

Floats = npt.NDArray[np.float64]

#: What users may do, and what it weighs in engagement.
WEIGHTS: Final = {"like": 1.0, "comment": 3.0, "share": 2.0, "hide": -2.0, "report": -5.0}

#: How likely a user looks at each position, the first first (position bias): 1 / position ** _BIAS.
_BIAS: Final = 0.6
_LIKES: Final = (-1.7, 3.6)
_HIDES: Final = (-3.2, -2.4)
#: How many of those who like an item comment on it or share it, and of those who hide one report it.
_COMMENTS, _SHARES, _REPORTS = 0.06, 0.10, 0.02


@dataclass(frozen=True)
class Action:
    """One thing a user does with an item that was shown."""

    item_id: str
    event: str


class Tastes:
    """The tastes of all users, and the items they are for.

    Whoever looks at an item likes it with the probability ``sigmoid(a + b * match + quality)``, where a match
    is the cosine of both tastes; hides it likewise, with a ``b`` below 0; comments on and shares a part of
    what is liked. No item is acted on unseen, and no choice depends on another.

    Args:
        users, items: ids; ``user_tastes`` [users, d] and ``item_tastes`` [items, d] have rows of length 1.
        quality: [items], what everybody likes better about an item.
    """

    def __init__(
        self,
        seed: int,
        users: Sequence[str],
        items: Sequence[str],
        user_tastes: Floats,
        item_tastes: Floats,
        quality: Floats,
    ) -> None:
        self.seed = seed
        self.users, self.items = tuple(users), tuple(items)
        self.quality = quality
        self._place = {name: place for place, name in enumerate(items)}
        self._user = {name: place for place, name in enumerate(users)}
        self.matches: Floats = user_tastes @ item_tastes.T

    def probabilities(self, user: int) -> dict[str, Floats]:
        """Of each event with each item, should the user look at it: [items] each."""
        match = self.matches[user]
        likes = _sigmoid(_LIKES[0] + _LIKES[1] * match + self.quality)
        hides = _sigmoid(_HIDES[0] + _HIDES[1] * match)
        return {
            "like": likes,
            "comment": _COMMENTS * likes,
            "share": _SHARES * likes,
            "hide": hides,
            "report": _REPORTS * hides,
        }

    def worth(self, user: int) -> Floats:
        """The engagement to be expected of each item that the user looks at: [items]."""
        found = self.probabilities(user)
        return np.asarray(sum(WEIGHTS[event] * found[event] for event in WEIGHTS), dtype=np.float64)

    def expected(self, user_id: str, item_ids: Sequence[str]) -> float:
        """The engagement to be expected of a slate, in its order. Unknown items are worth nothing.

        Raises:
            KeyError: there is no such user.
        """
        worth = self.worth(self._user[user_id])
        return sum(
            float(looks(position) * worth[self._place[item]])
            for position, item in enumerate(item_ids, 1)
            if item in self._place
        )

    def act(self, user_id: str, visit: int, item_ids: Sequence[str]) -> list[Action]:
        """What a user does with a slate on the user's n-th visit; the same whoever made the slate.

        Raises:
            KeyError: there is no such user.
        """
        probabilities = self.probabilities(self._user[user_id])
        done = []
        for position, item in enumerate(item_ids, 1):
            place = self._place.get(item)
            if place is None or chance(self.seed, "look", user_id, visit, position) >= looks(position):
                continue
            done += [
                Action(item, event)
                for event in WEIGHTS
                if chance(self.seed, event, user_id, item, visit) < probabilities[event][place]
            ]
        return done


def looks(position: int) -> float:
    """How likely a user looks at a position of a slate, counted from 1.

    >>> [round(looks(position), 2) for position in (1, 2, 10)]
    [1.0, 0.66, 0.25]
    """
    return float(position**-_BIAS)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)), dtype=np.float64)
