"""What is wrong with a candidate that has nothing wrong in its release: it is late, or it dies."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from slate.rollout.state import RolloutStatus, State

#: What is done to the stack beside the rollout: called a few times a second with where it stands.
Meddle = Callable[[State], None]

_CHUNK: Final = 65_536


class SlowProxy:
    """Passes bytes on to a server on this machine, those of requests only after ``delay_s``.

    It listens from the beginning, so that its port can be named to a gateway, and answers once it is open.
    """

    def __init__(self) -> None:
        self.delay_s = 0.0
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._socket.getsockname()[1])

    @contextlib.asynccontextmanager
    async def open(self, target: int) -> AsyncIterator[None]:
        """Pass on to port ``target`` as long as this is entered."""
        connected: set[asyncio.Task[None]] = set()

        async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is not None:
                connected.add(task)
            try:
                await self._pass_on(reader, writer, target)
            except (OSError, asyncio.CancelledError):
                pass  # Either side went; so does the other.
            finally:
                writer.close()
                if task is not None:
                    connected.discard(task)

        server = await asyncio.start_server(connect, sock=self._socket)
        try:
            yield
        finally:
            server.close()
            for task in list(connected):
                task.cancel()
            await asyncio.gather(*connected, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: int) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", target)
        try:
            ways = [
                asyncio.create_task(_copy(reader, back, lambda: self.delay_s)),
                asyncio.create_task(_copy(there, writer, lambda: 0.0)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            back.close()

    def close(self) -> None:
        """Listen no longer."""
        self._socket.close()


class Slow:
    """Meddles so that users wait: from the first one on, every request to the candidate is late."""

    def __init__(self, proxy: SlowProxy, delay_s: float) -> None:
        self._proxy, self._delay_s = proxy, delay_s

    def __call__(self, state: State) -> None:
        self._proxy.delay_s = self._delay_s if state.status is RolloutStatus.CANARY else 0.0


class Killer:
    """Meddles so that the candidate crashes: from its first user on, killed as soon as it is there again.

    Args:
        pid: of its process at present; None where there is none.
    """

    def __init__(self, pid: Callable[[], int | None]) -> None:
        self._pid = pid
        self.killed: list[float] = []
        """When, by the monotonic clock."""

    def __call__(self, state: State) -> None:
        found = self._pid() if state.status is RolloutStatus.CANARY else None
        if found is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(found, signal.SIGKILL)
                self.killed.append(time.monotonic())


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: Callable[[], float]
) -> None:
    while chunk := await reader.read(_CHUNK):
        seconds = delay()
        if seconds > 0:
            await asyncio.sleep(seconds)
        writer.write(chunk)
        await writer.drain()
