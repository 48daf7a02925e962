"""Refuse at once what could not be answered in time."""

import math
from collections import Counter
from typing import Final

from slate.recommend.engine import OverloadedError
from slate.recommend.online.pace import Cost

#: Why requests are refused: too many are held, they would take too long, the server goes down.
FULL: Final = "full"
SLOW: Final = "slow"
DRAINING: Final = "draining"
#: The share of the time it has that a request may be expected to wait: estimates are of the mean.
_EXPECTED: Final = 0.5
#: Always let in, whatever the estimate says: without them it could never correct itself.
_SPARE: Final = 2


class Admission:
    """Counts the requests that are held and estimates how long another one would wait.

    Args:
        pending: never hold more.
        seconds: how long a request may take as a whole.
    """

    def __init__(self, pending: int, seconds: float) -> None:
        self._limit = pending
        self._seconds = seconds
        self._cost = Cost()
        self.held = 0
        self.draining = False
        #: Requests by why they were refused.
        self.refused: Counter[str] = Counter()

    @property
    def seconds_each(self) -> float:
        """Seconds by which one more request held lengthens the wait; 0 until something was answered."""
        return self._cost.each

    def enter(self, requests: int) -> None:
        """Take requests in.

        Raises:
            OverloadedError: they could not be answered in time, or the server goes down.
        """
        self.check(requests)
        self.held += requests

    def check(self, requests: int) -> None:
        """Ask whether requests would be taken in.

        Raises:
            OverloadedError: they would not, and count as refused.
        """
        if self.draining:
            self.refused[DRAINING] += requests
            raise OverloadedError("the server is going down; ask another one", 1.0, draining=True)
        wait = (self.held + requests) * self._cost.each
        full = self.held + requests > self._limit
        if full or (self.held > _SPARE and wait > _EXPECTED * self._seconds):
            self.refused[FULL if full else SLOW] += requests
            raise OverloadedError(
                f"{self.held} requests are held already; ask again later", max(1.0, math.ceil(wait))
            )

    def leave(self, requests: int) -> None:
        """Requests are answered."""
        self.held -= requests

    def learn(self, requests: int, seconds: float) -> None:
        """A batch of requests kept one lane busy for ``seconds``."""
        self._cost.learn(requests, seconds)
