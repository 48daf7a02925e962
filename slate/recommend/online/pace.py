"""How large a batch may be for its stages to end in time, by what stages took of late."""

import math
from collections.abc import Mapping
from typing import Final

#: How fast estimates follow: the weight of the newest batch.
_FOLLOW: Final = 0.1
#: How much batches of different sizes must have said, as a variance of sizes, to be half believed.
_BELIEVED: Final = 1.0
#: The least that one more request in a batch costs, as a share of what requests cost altogether.
_LEAST: Final = 0.25


class Cost:
    """Seconds that a batch takes by its size: a fixed part, and one for each request in it.

    The line of least squares through the last batches, of which older ones weigh less. Where all of them had
    about one size it cannot be known, and nothing is taken to be fixed: a large batch is then expected to
    take longer than it will.
    """

    def __init__(self) -> None:
        self._sizes = self._seconds = self._squares = self._products = 0.0
        #: Seconds a request in batches like the last ones; 0 until something was learnt.
        self.each = 0.0
        #: Seconds by which one more request lengthens a batch.
        self.more = 0.0
        #: Seconds of a batch that do not depend on its size.
        self.fixed = 0.0

    def within(self, seconds: float) -> float:
        """How many requests a batch may hold to take so long; may be below 1, infinite while unknown."""
        return (seconds - self.fixed) / self.more if self.more else math.inf

    def learn(self, requests: int, seconds: float) -> None:
        """A batch of so many requests took so long."""
        weight = _FOLLOW if self._sizes else 1.0
        self._sizes += weight * (requests - self._sizes)
        self._seconds += weight * (seconds - self._seconds)
        self._squares += weight * (requests**2 - self._squares)
        self._products += weight * (requests * seconds - self._products)
        # Asked far more often than learnt.
        self.each = each = self._seconds / self._sizes
        variance = self._squares - self._sizes**2
        covariance = self._products - self._sizes * self._seconds
        slope = (covariance + _BELIEVED * each) / (variance + _BELIEVED)
        self.more = min(each, max(_LEAST * each, slope))
        self.fixed = self._seconds - self.more * self._sizes


class Pace:
    """The largest batch of which every part is expected to end within its share of time.

    Args:
        allowed: seconds that each part of a batch may take, by its name.
        most: the size never exceeded.
    """

    def __init__(self, allowed: Mapping[str, float], most: int) -> None:
        self._allowed = dict(allowed)
        self._costs = {part: Cost() for part in allowed}
        self._limit = most
        self._most: int | None = most

    @property
    def most(self) -> int:
        """How many requests a batch may hold now."""
        if self._most is None:
            fits = (cost.within(self._allowed[name]) for name, cost in self._costs.items())
            self._most = max(1, int(min(self._limit, *fits)))
        return self._most

    def learn(self, part: str, requests: int, seconds: float, *, stopped: bool = False) -> None:
        """A part of a batch took so long; one that was ``stopped`` then is believed at once."""
        if stopped:
            self._costs[part] = Cost()
        self._costs[part].learn(requests, seconds)
        self._most = None
