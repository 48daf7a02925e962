"""How large a batch may be for its stages to end in time, by what stages took of late."""

from collections.abc import Mapping
from typing import Final

#: How fast estimates follow: the weight of the newest batch.
_FOLLOW: Final = 0.2


class Cost:
    """Seconds a request, over the last batches. A batch counts by its size: small ones cost more each."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._requests = 0.0

    @property
    def each(self) -> float:
        """Seconds; 0 until something was learnt."""
        return self._seconds / self._requests if self._requests else 0.0

    def learn(self, requests: int, seconds: float) -> None:
        """So many requests took so long together."""
        if not self._requests:
            self._requests, self._seconds = float(requests), seconds
        self._requests += _FOLLOW * (requests - self._requests)
        self._seconds += _FOLLOW * (seconds - self._seconds)


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
        self.most = most

    def learn(self, part: str, requests: int, seconds: float, *, stopped: bool = False) -> None:
        """A part of a batch took so long; one that was ``stopped`` then is believed at once."""
        if stopped:
            self._costs[part] = Cost()
        self._costs[part].learn(requests, seconds)
        fits = [self._allowed[name] / cost.each for name, cost in self._costs.items() if cost.each > 0]
        self.most = max(1, int(min([*fits, self._limit])))
