"""Small real servers behind the gateway: they say what they were asked, and misbehave when told to."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

ANSWER = "answer"
HANG = "hang"
CRASH = "crash"
FAIL = "fail"


@dataclass
class Backend:
    """One variant's server. ``mode`` may change at any time; ``asked`` are the headers of each request."""

    name: str
    mode: str = ANSWER
    seconds: float = 0.0
    port: int = 0
    asked: list[dict[str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # It is cancelled when the test is over, and streams would report that.
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    await self._one(reader, writer)
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "surrogateescape")
        first, *lines = head.split("\r\n")[:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        await reader.readexactly(int(headers.get("content-length", 0)))
        headers[":path"] = first.split(" ")[1]
        self.asked.append(headers)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await self._answer(writer, headers)
        finally:
            self.at_once -= 1

    async def _answer(self, writer: asyncio.StreamWriter, headers: dict[str, str]) -> None:
        if self.mode == HANG:
            await asyncio.sleep(60)
        if self.mode == CRASH:
            raise ConnectionError
        await asyncio.sleep(self.seconds)
        said = {"variant": self.name, "versions": [f"release-of-{self.name}"], "headers": headers}
        body = json.dumps(said).encode()
        status = b"500 Internal Server Error" if self.mode == FAIL else b"200 OK"
        length = str(len(body)).encode()
        writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: " + length + b"\r\n\r\n" + body)
        await writer.drain()


@contextlib.contextmanager
def backends(*names: str) -> Iterator[dict[str, Backend]]:
    """Servers on free ports of the loopback, in a thread."""
    loop = asyncio.new_event_loop()
    found = {name: Backend(name) for name in names}

    async def listen(backend: Backend) -> Any:
        server = await asyncio.start_server(backend.serve, "127.0.0.1", 0, backlog=1024)
        backend.port = server.sockets[0].getsockname()[1]
        return server

    async def open_all() -> list[Any]:
        return [await listen(backend) for backend in found.values()]

    async def close_all(servers: list[Any]) -> None:
        for server in servers:
            server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.05)  # Connections are closed by the loop.

    servers = loop.run_until_complete(open_all())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        asyncio.run_coroutine_threadsafe(close_all(servers), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
