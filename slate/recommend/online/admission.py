"""Refuse at once what could not be answered in time."""

import contextlib
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from slate.recommend.engine import OverloadedError
from slate.recommend.online.pace import Cost

#: Why requests are refused: too many are held, they would take too long, the server goes down.
FULL: Final = "full"
SLOW: Final = "slow"
DRAINING: Final = "draining"
#: The share of the time it has that a request may be expected to wait: estimates are of the mean.
_EXPECTED: Final = 0.5
#: And while what is waited for passes soon, so that more can wait than are in the usual queue.
_PATIENT: Final = 0.75
#: Seconds in which what has gathered meanwhile is answered.
_CATCHING_UP: Final = 1.0
#: How many requests that would have to wait even longer are then answered without the stages: a slate that
#: needs no model is better than none, and costs ten times what a refusal does.
_LOWERED: Final = 2_000
#: Seconds until so many may be again: a release that cannot be loaded is tried every second.
_LOWERED_AGAIN: Final = 60.0
#: Always let in, whatever the estimate says: without them it could never correct itself.
_SPARE: Final = 2


class Admission:
    """Counts the requests that are held and estimates how long another one would wait.

    Args:
        pending: never hold more.
        seconds: how long a request may take as a whole.
        largest: how many requests a batch may hold now.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        pending: int,
        seconds: float,
        largest: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = pending
        self._seconds = seconds
        self._largest = largest
        self._clock = clock
        self._cost = Cost()
        self.held = 0
        #: Set while no request is held; for other threads.
        self.quiet = threading.Event()
        self.quiet.set()
        self.draining = False
        self._patient_until = -math.inf
        self._lowered = 0
        self._lowered_since = -math.inf
        #: Requests by why they were refused.
        self.refused: Counter[str] = Counter()

    def wait(self, requests: int) -> float:
        """Seconds until so many requests are answered, in batches as large as they may be."""
        return math.ceil(requests / self._largest()) * self._cost.fixed + requests * self._cost.more

    def enter(self, requests: int, *, lower: bool = False) -> bool:
        """Take requests in.

        Args:
            lower: answers without the stages will do.

        Returns:
            Whether the stages can answer them in time.

        Raises:
            OverloadedError: nobody can, or the server goes down.
        """
        refused = self.refuses(requests, lower=lower)
        if refused is not None:
            raise refused
        in_time = not (lower and self._lowers(requests)) or self._in_time(requests)
        if not in_time:
            self._lowered -= requests
        if not self.held:
            self.quiet.clear()
        self.held += requests
        return in_time

    def refuses(self, requests: int, *, lower: bool = False) -> OverloadedError | None:
        """Why requests would not be taken in, if they would not; then they count as refused."""
        if self.draining:
            self.refused[DRAINING] += requests
            return OverloadedError("the server is going down; ask another one", 1.0, draining=True)
        held = self.held + requests
        full = held > self._limit
        if not full and (self._in_time(requests) or (lower and self._lowers(requests))):
            return None
        self.refused[FULL if full else SLOW] += requests
        again = max(1.0, math.ceil(self.wait(held)))
        return OverloadedError(f"{self.held} requests are held already; ask again later", again)

    @contextlib.contextmanager
    def patient(self) -> Iterator[None]:
        """Let requests wait longer in this block and for a moment after it, on whatever thread.

        Some that would wait too long even so may be answered without the stages.
        """
        now = self._clock()
        if now >= self._lowered_since + _LOWERED_AGAIN:
            self._lowered, self._lowered_since = _LOWERED, now
        self._patient_until = math.inf
        try:
            yield
        finally:
            self._patient_until = self._clock() + _CATCHING_UP

    def leave(self, requests: int) -> None:
        """Requests are answered."""
        self.held -= requests
        if not self.held:
            self.quiet.set()

    def _in_time(self, requests: int) -> bool:
        """Whether the stages are expected to get to so many more requests soon enough."""
        share = _PATIENT if self._clock() < self._patient_until else _EXPECTED
        return self.held <= _SPARE or self.wait(self.held + requests) <= share * self._seconds

    def _lowers(self, requests: int) -> bool:
        return self._lowered >= requests and self._clock() < self._patient_until

    def learn(self, requests: int, seconds: float) -> None:
        """A batch of requests kept one lane busy for ``seconds``."""
        self._cost.learn(requests, seconds)
