"""Requests that arrive together share one durable write; each is answered after it."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from slate.errors import FullError, SlateError
from slate.feedback.queue import Queue

_MOST: Final = 5000
#: How many records may wait for their write in this process.
_WAITING: Final = 100_000


@dataclass(frozen=True)
class _Work:
    records: Sequence[bytes]
    ids: Sequence[str]
    done: asyncio.Future[list[bool]]


class Appender:
    """Appends to one stream from an event loop, in a thread of its own.

    While one write is under way the next requests gather: the busier it is, the fewer writes an event costs.
    """

    def __init__(self, queue: Queue, stream: str) -> None:
        self._queue = queue
        self._stream = stream
        self._waiting: deque[_Work] = deque()
        self._count = 0
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, f"append-{stream}")

    async def append(self, records: Sequence[bytes], ids: Sequence[str]) -> list[bool]:
        """As :meth:`slate.feedback.queue.Queue.append`: all of these records, or none.

        Raises:
            FullError: also where the writes cannot keep up with the requests.
        """
        if self._count and self._count + len(records) > _WAITING:
            raise FullError(f"{self._stream}: {self._count} records wait for their write; send again later")
        self._count += len(records)
        loop = asyncio.get_running_loop()
        work = _Work(records, ids, loop.create_future())
        self._waiting.append(work)
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._write())
        return await work.done

    def close(self) -> None:
        """Wait for the write under way."""
        self._thread.shutdown()

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch = [self._waiting.popleft()]
            size = len(batch[0].records)
            while self._waiting and size + len(self._waiting[0].records) <= _MOST:
                batch.append(self._waiting.popleft())
                size += len(batch[-1].records)
            results = await loop.run_in_executor(self._thread, self._together, batch)
            self._count -= size
            for work, result in zip(batch, results, strict=True):
                if work.done.done():  # Whoever asked has gone away.
                    continue
                if isinstance(result, Exception):
                    work.done.set_exception(result)
                else:
                    work.done.set_result(result)

    def _together(self, batch: Sequence[_Work]) -> list[list[bool] | Exception]:
        try:
            flags = self._queue.append(
                self._stream,
                [record for work in batch for record in work.records],
                [name for work in batch for name in work.ids],
            )
        except FullError as error:
            # A smaller request may still fit, and one of duplicates alone always does.
            return [self._alone(work) for work in batch] if len(batch) > 1 else [error]
        except Exception as error:  # Whatever it is, everybody who waits must hear of it.
            return [error] * len(batch)
        shares, first = [], 0
        for work in batch:
            shares.append(flags[first : first + len(work.records)])
            first += len(work.records)
        return list(shares)

    def _alone(self, work: _Work) -> list[bool] | Exception:
        try:
            return self._queue.append(self._stream, work.records, work.ids)
        except SlateError as error:
            return error
