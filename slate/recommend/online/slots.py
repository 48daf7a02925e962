"""How much of a stage may be under way at once.

A thread inside a native call cannot be stopped. What nobody waits for any more keeps its slot until it
comes back, so a stage that hangs holds a bounded number of threads; when all of them are held, the stage
fails at once instead of collecting more.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque

from slate.recommend.online.trouble import StageError


class Slots:
    """The slots of one stage; taken and given back from any thread, waited for on an event loop.

    Args:
        name: the stage's, for errors.
        count: how many pieces of work may be in it at once, those that nobody waits for included.
    """

    def __init__(self, name: str, count: int) -> None:
        self.name = name
        self.count = count
        self._lock = threading.Lock()
        self._free = count
        self._stuck = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def stuck(self) -> int:
        """Slots held by work that nobody waits for any more."""
        return self._stuck

    def take(self) -> bool:
        """Take a slot, if one is free."""
        with self._lock:
            taken = self._free > 0
            self._free -= taken
        return taken

    async def wait(self, ends: float) -> None:
        """Take a slot by ``ends``, on the monotonic clock.

        Raises:
            StageError: ``busy``, all slots are held by work that does not come back; ``late``, none became
                free in time.
        """
        while (turn := self._turn()) is not None:
            try:
                async with asyncio.timeout(ends - time.monotonic()):
                    await turn
            except BaseException as error:
                with self._lock, contextlib.suppress(ValueError):
                    self._waiting.remove(turn)
                if not turn.cancelled():
                    self._next()
                if isinstance(error, TimeoutError):
                    raise StageError(self.name, "late", "no slot became free") from None
                raise

    def release(self, *, stuck: bool = False) -> None:
        """Give a slot back; ``stuck`` if nobody waited any more for what held it."""
        with self._lock:
            self._free += 1
            self._stuck -= stuck
        self._next()

    def strand(self) -> None:
        """Nobody waits any more for what holds a slot."""
        with self._lock:
            self._stuck += 1
            hopeless = self._stuck >= self.count
        while hopeless and self._next():
            pass

    def _turn(self) -> "asyncio.Future[None] | None":
        """None where a slot was taken, else what tells when to try again."""
        with self._lock:
            if self._free:
                self._free -= 1
                return None
            if self._stuck >= self.count:
                raise StageError(self.name, "busy", f"all {self.count} slots are stuck")
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            return turn

    def _next(self) -> bool:
        """Tell whoever waits longest to try again; whether anybody waits."""
        with self._lock:
            turn = self._waiting.popleft() if self._waiting else None
        if turn is None:
            return False
        with contextlib.suppress(RuntimeError):  # its loop is closed
            turn.get_loop().call_soon_threadsafe(self._tell, turn)
        return True

    def _tell(self, turn: "asyncio.Future[None]") -> None:
        if turn.done():
            self._next()
        else:
            turn.set_result(None)
