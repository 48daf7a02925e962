"""Streams of records in Redis.

A stream is a Redis stream whose ids are ``<position>-0``. Redis' own consumer groups hand out single records
and know no bounds, so a group here is a hash field with the position up to which it is done, a sorted set of
its claims, and a lease. Every change is one script, which the append-only file holds whole or not at all.
"""

import hashlib
from collections.abc import Sequence

from slate.errors import ConflictError, FullError, NotFoundError
from slate.feedback.queue import NO_LIMIT, REMEMBERED_SECONDS, Claim, Entry
from slate.feedback.redis_server import RedisServer


class RedisQueue:
    """Streams in one Redis server that several processes share.

    Args:
        pending: how many records a stream holds that some group has not acknowledged.
        remember_seconds: for how long an id counts as seen.
    """

    def __init__(
        self,
        server: RedisServer,
        pending: int = NO_LIMIT,
        remember_seconds: float = REMEMBERED_SECONDS,
    ) -> None:
        self._server = server
        self._pending = pending
        self._remember_ms = max(1, round(1000 * remember_seconds))
        self._append = server.script("append", "common")
        self._register = server.script("register", "common")
        self._claim = server.script("claim", "common")
        self._acknowledge = server.script("acknowledge", "common")
        self._rewind = server.script("rewind", "common")
        self._trim = server.script("trim", "common")

    def append(self, stream: str, records: Sequence[bytes], ids: Sequence[str] = ()) -> list[bool]:
        if ids and len(ids) != len(records):
            raise ValueError(f"{stream}: {len(records)} records with {len(ids)} ids")
        if not records:
            return []
        short = [hashlib.blake2b(name.encode(), digest_size=16).hexdigest() for name in ids]
        fresh = self._append([stream], [self._pending, self._remember_ms, len(records), *records, *short])
        if not fresh:
            raise FullError(f"{stream}: {self._pending} records wait; send again later")
        return [bool(one) for one in fresh]

    def read(self, stream: str, after: int, limit: int) -> list[Entry]:
        with self._server.errors():
            found = self._server.client.xrange(stream, min=f"{after + 1}-0", count=limit)
        return [Entry(int(position.partition(b"-")[0]), fields[b"record"]) for position, fields in found]

    def register(self, stream: str, group: str) -> None:
        self._register([stream], [group])

    def claim(self, stream: str, group: str, consumer: str, limit: int, seconds: float) -> Claim | None:
        bounds = self._claim([stream], [group, consumer, limit, round(1000 * seconds)])
        return Claim(*bounds) if bounds else None

    def acknowledge(self, stream: str, group: str, consumer: str, claim: Claim) -> None:
        if not self._acknowledge([stream], [group, consumer, claim.first, claim.last]):
            raise ConflictError(
                f"{stream} {claim.first}-{claim.last}: is no longer claimed by {consumer}; claim again"
            )

    def rewind(self, stream: str, group: str, after: int) -> None:
        oldest = self._rewind([stream], [group, after])
        if oldest:
            raise NotFoundError(f"{stream}: is kept from position {oldest} on; replay from there")

    def depth(self, stream: str, group: str = "") -> int:
        with self._server.errors():
            pipeline = self._server.client.pipeline(transaction=True)
            pipeline.get(f"{stream}:last").hget(f"{stream}:groups", group).xlen(stream)
            last, acknowledged, held = pipeline.execute()
        return int(held) if not group or acknowledged is None else int(last or 0) - int(acknowledged)

    def trim(self, stream: str, before: int) -> int:
        return int(self._trim([stream], [before]))

    def close(self) -> None:
        self._server.close()
