"""Slates that were shown not long ago, found by their exposure id when an outcome comes."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from slate.clock import Clock, SystemClock
from slate.feedback.sqlite_file import NORMAL, SqliteFile

_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS shown (id TEXT PRIMARY KEY, slate BLOB NOT NULL, until REAL NOT NULL) "
    "WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS shown_until ON shown (until)",
)
_AT_ONCE: Final = 500


class ShownSlates(Protocol):
    """What was shown, kept for the time in which outcomes count. Both raise StorageError."""

    def put(self, slates: Mapping[str, bytes], seconds: float) -> None:
        """Keep slates by exposure id for so long; again is once."""
        ...

    def find(self, exposure_ids: Iterable[str]) -> dict[str, bytes]:
        """Those that are known, by exposure id."""
        ...

    def close(self) -> None: ...


class SqliteShown:
    """Shown slates in an SQLite file, which may be that of the queue."""

    def __init__(
        self, path: Path, synchronous: str = NORMAL, busy_seconds: float = 5.0, clock: Clock | None = None
    ) -> None:
        self._file = SqliteFile(path, synchronous, busy_seconds, _TABLES)
        self._clock = clock or SystemClock()

    def put(self, slates: Mapping[str, bytes], seconds: float) -> None:
        now = self._clock.now().timestamp()
        with self._file.write() as database:
            database.execute("DELETE FROM shown WHERE until < ?", (now,))
            database.executemany(
                "INSERT OR REPLACE INTO shown VALUES (?, ?, ?)",
                [(short_id(name), slate, now + seconds) for name, slate in slates.items()],
            )

    def find(self, exposure_ids: Iterable[str]) -> dict[str, bytes]:
        names = {short_id(name): name for name in exposure_ids}
        found: dict[str, bytes] = {}
        wanted = list(names)
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            marks = ", ".join("?" * len(part))
            rows = self._file.read(f"SELECT id, slate FROM shown WHERE id IN ({marks})", part)  # noqa: S608
            found |= {names[name]: bytes(slate) for name, slate in rows}
        return found

    def close(self) -> None:
        self._file.close()


class RedisShown:
    """Shown slates in Redis, which forgets them by itself."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def put(self, slates: Mapping[str, bytes], seconds: float) -> None:
        with self._server.errors():
            pipeline = self._server.client.pipeline(transaction=False)
            for name, slate in slates.items():
                pipeline.set(f"shown:{short_id(name)}", slate, px=max(1, round(1000 * seconds)))
            pipeline.execute()

    def find(self, exposure_ids: Iterable[str]) -> dict[str, bytes]:
        wanted = list(exposure_ids)
        if not wanted:
            return {}
        with self._server.errors():
            slates = self._server.client.mget([f"shown:{short_id(name)}" for name in wanted])
        return {name: slate for name, slate in zip(wanted, slates, strict=True) if slate is not None}

    def close(self) -> None:
        self._server.close()


def short_id(exposure_id: str) -> str:
    """An exposure id in few bytes; they are signed, so nobody makes two that meet."""
    return hashlib.blake2b(exposure_id.encode(), digest_size=16).hexdigest()
