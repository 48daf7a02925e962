"""How many events one key, or one user, may bring in a time."""

from collections import OrderedDict
from typing import Final

from slate.clock import Clock

_KNOWN: Final = 100_000


class Limiter:
    """Token buckets by name, refilled evenly; the least recently used is forgotten when there are too many.

    Who is forgotten starts with a full bucket, so the bound on memory makes the limit softer, never harder.

    Args:
        most: how many a bucket holds, and how many ``seconds`` refill.
        known: how many names are remembered.
    """

    def __init__(self, most: float, seconds: float, clock: Clock, known: int = _KNOWN) -> None:
        self._most = most
        self._rate = most / seconds
        self._clock = clock
        self._known = known
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: str, count: int = 1) -> bool:
        """Whether ``count`` more are allowed now; if so they are taken."""
        now = self._clock.now().timestamp()
        left, at = self._buckets.get(name, (self._most, now))
        left = min(self._most, left + max(now - at, 0.0) * self._rate)
        allowed = left >= count
        self._put(name, left - count if allowed else left, now)
        return allowed

    def give_back(self, name: str, count: int = 1) -> None:
        """They did not come about after all."""
        if name in self._buckets:
            left, at = self._buckets[name]
            self._put(name, min(self._most, left + count), at)

    def seconds(self, name: str, count: int) -> float:
        """After how long ``count`` are allowed, if nothing else comes."""
        left, _ = self._buckets.get(name, (self._most, 0.0))
        return max(min(count, self._most) - left, 0.0) / self._rate

    def _put(self, name: str, left: float, at: float) -> None:
        self._buckets[name] = (left, at)
        self._buckets.move_to_end(name)
        if len(self._buckets) > self._known:
            self._buckets.popitem(last=False)
