"""An open-loop load generator: requests go out when they are due, whatever became of those before.

A closed loop sends its next request when it has an answer, so a server that stalls is asked less while it
stalls, and the requests that would have waited are never counted (Tene, "How NOT to measure latency":
coordinated omission). Here a latency begins at the instant for which its request was *planned*. Where all
connections are taken a request waits, and its wait counts. What the generator itself cost is told apart:
``lateness`` is how long after its instant a request was noticed, before any connection entered into it.

    python -m benchmarks.serving.generator SPEC.json OUT.npz

is a process of its own, which imports nothing of what it measures.
"""

import asyncio
import json
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from benchmarks.serving.http import Reader, request
from benchmarks.serving.schedule import Floats, Kind, arrivals

#: Outcomes beside HTTP statuses.
TIMED_OUT: Final = 0
BROKEN: Final = -1

#: Timers of an event loop are this coarse; the rest of a wait is spent looking at the clock.
_COARSE: Final = 0.002
_SWEEP: Final = 0.05
_FIRST_CONNECTIONS: Final = 16


@dataclass(frozen=True)
class Spec:
    """What is asked, and how fast.

    ``bodies`` are sent in turn. With ``closed`` connections, each sends its next request on its answer and
    ``rate`` means nothing: for finding a range, never for latencies. ``marker`` must be in an answer for it
    to be a good one. ``releases`` maps release ids to what every item id of that release begins with.
    """

    port: int
    path: str
    bodies: Sequence[str]
    rate: float = 0.0
    seconds: float = 1.0
    kind: Kind = "poisson"
    seed: int = 1
    connections: int = 1024
    timeout_s: float = 2.0
    marker: str = ""
    releases: Mapping[str, str] = field(default_factory=dict)
    closed: int = 0

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Spec":
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass
class Record:
    """What became of n requests, each array [n]; instants in seconds of the machine's monotonic clock.

    ``status`` is an HTTP status, :data:`TIMED_OUT` or :data:`BROKEN`; ``release`` the place of the named
    release in the spec, -1 for none; ``mixed`` marks an answer with items of another release.
    """

    intended: Floats
    noticed: Floats
    done: Floats
    status: np.ndarray
    good: np.ndarray
    release: np.ndarray
    mixed: np.ndarray

    @classmethod
    def of(cls, intended: Floats) -> "Record":
        n = len(intended)
        return cls(
            intended,
            np.full(n, np.nan),
            np.full(n, np.nan),
            np.full(n, TIMED_OUT, np.int16),
            np.zeros(n, np.bool_),
            np.full(n, -1, np.int16),
            np.zeros(n, np.bool_),
        )

    def until(self, count: int) -> "Record":
        """The first ``count`` requests alone."""
        return Record(**{name: array[:count] for name, array in vars(self).items()})

    def save(self, path: Path) -> None:
        np.savez(path, **cast("dict[str, Any]", vars(self)))

    @classmethod
    def load(cls, path: Path) -> "Record":
        with np.load(path) as stored:
            return cls(**{name: stored[name] for name in stored.files})


class _Connection(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self, owner: "Generator") -> None:
        self._owner = owner
        self._reader = Reader()
        self.transport: asyncio.Transport | None = None
        self.asked: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def send(self, number: int, data: bytes) -> None:
        self.asked = number
        assert self.transport is not None
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        answer = self._reader.feed(data)
        if answer is None or self.asked is None:
            return
        number, self.asked = self.asked, None
        self._owner.answered(number, now, answer.status, answer.body)
        if answer.keep:
            self._owner.free.append(self)
        else:
            self.drop()

    def drop(self) -> None:
        assert self.transport is not None
        self.transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        number, self.asked = self.asked, None
        self._owner.lost(self, number)


class Generator:
    """Sends what a spec plans."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._requests = [request(spec.path, body.encode()) for body in spec.bodies]
        self._marker = spec.marker.encode()
        self._releases = [(name.encode(), first) for name, first in spec.releases.items()]
        self._open: set[_Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._waiting: deque[int] = deque()
        self._left = self._end = self._next = 0
        self.free: list[_Connection] = []
        self.record = Record.of(np.empty(0))

    async def run(self) -> Record:
        """Send everything, wait for the answers or the timeout, and tell."""
        loop = asyncio.get_running_loop()
        spec = self._spec
        await asyncio.gather(
            *(self._connect() for _ in range(spec.closed or min(_FIRST_CONNECTIONS, spec.connections)))
        )
        if spec.closed:
            return await self._closed(loop)
        plan = arrivals(spec.rate, spec.seconds, spec.kind, spec.seed)
        self.record = Record.of(time.monotonic() + 0.05 + plan)
        self._left = self._end = len(plan)
        self._finished = loop.create_future()
        sweeping = loop.create_task(self._sweep())
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        if self._left:
            self._pump(loop)
            await self._finished
        sweeping.cancel()
        self._close()
        return self.record.until(self._end)

    def stop(self) -> None:
        """Plan no more: what was not due yet is as if it had never been planned."""
        self._left -= self._end - self._next
        self._end = self._next
        self._finish()

    def answered(self, number: int, now: float, status: int, body: bytes) -> None:
        record = self.record
        if self._spec.closed:
            self._good += status == 200 and self._marker in body
            self._tell(status)
            return
        record.done[number], record.status[number] = now, status
        record.good[number] = status == 200 and self._marker in body
        if self._releases and status == 200:
            self._look(number, body)
        self._one_less()

    def lost(self, connection: _Connection, number: int | None) -> None:
        self._open.discard(connection)
        if connection in self.free:
            self.free.remove(connection)
        if number is not None and not self._spec.closed:
            self.record.done[number], self.record.status[number] = time.monotonic(), BROKEN
            self._one_less()

    def _look(self, number: int, body: bytes) -> None:
        """Which release an answer names, and whether all of its items are of that one."""
        for place, (name, first) in enumerate(self._releases):
            if name in body:
                self.record.release[number] = place
                items = json.loads(body)["predictions"][0]["items"]
                self.record.mixed[number] = not all(item["item_id"].startswith(first) for item in items)
                return

    def _pump(self, loop: asyncio.AbstractEventLoop) -> None:
        """Notice what is due, send what a connection is free for, and come again."""
        record = self.record
        now = time.monotonic()
        while self._next < self._end and record.intended[self._next] <= now:
            record.noticed[self._next] = now
            self._waiting.append(self._next)
            self._next += 1
        while self._waiting and self.free:
            number = self._waiting.popleft()
            self.free.pop().send(number, self._requests[number % len(self._requests)])
        lacking = min(
            len(self._waiting) - len(self._opening),
            self._spec.connections - len(self._open) - len(self._opening),
        )
        for _ in range(lacking):
            task = loop.create_task(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        if self._finished.done():
            return
        more = self._next < self._end
        wait = record.intended[self._next] - time.monotonic() if more else _COARSE
        if wait > _COARSE and not self._waiting:
            loop.call_later(wait - _COARSE, self._pump, loop)
        else:
            loop.call_soon(self._pump, loop)

    async def _sweep(self) -> None:
        """Give up on what takes longer than the timeout, on the wire or still waiting for it."""
        record, timeout = self.record, self._spec.timeout_s
        while True:
            await asyncio.sleep(_SWEEP)
            now = time.monotonic()
            while self._waiting and now - record.intended[self._waiting[0]] > timeout:
                self._give_up(self._waiting.popleft(), now)
            for connection in list(self._open):
                number = connection.asked
                if number is not None and now - record.intended[number] > timeout:
                    connection.asked = None
                    self._give_up(number, now)
                    connection.drop()

    def _give_up(self, number: int, now: float) -> None:
        self.record.done[number] = now
        self._one_less()

    def _one_less(self) -> None:
        self._left -= 1
        self._finish()

    def _finish(self) -> None:
        if not self._left and not self._finished.done():
            self._finished.set_result(None)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: _Connection(self), "127.0.0.1", self._spec.port
            )
        except OSError:
            return
        self._open.add(connection)
        self.free.append(connection)

    async def _closed(self, loop: asyncio.AbstractEventLoop) -> Record:
        """As fast as the connections allow; the record has one entry an answer and no latencies."""
        self._good, self._count, statuses = 0, 0, []
        self._tell = statuses.append
        began = loop.time()
        number = 0
        while loop.time() < began + self._spec.seconds:
            while self.free:
                self.free.pop().send(number, self._requests[number % len(self._requests)])
                number += 1
            await asyncio.sleep(0)
        self._close()
        record = Record.of(np.zeros(len(statuses)))
        record.status[:] = statuses
        record.good[: self._good] = True
        return record

    def _close(self) -> None:
        for connection in list(self._open):
            connection.drop()


def generate(spec: Spec) -> Record:
    """Run a spec in this process, on an event loop of its own."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Generator(spec).run())


def main() -> None:
    spec, out = map(Path, sys.argv[1:])
    generate(Spec.load(spec)).save(out)


if __name__ == "__main__":
    main()
