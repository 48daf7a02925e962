"""Streams of records in an SQLite file."""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from slate.errors import StorageError
from slate.feedback.queue import Entry

_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS records ("
    "stream TEXT NOT NULL, position INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY (stream, position)"
    ") WITHOUT ROWID"
)


class SqliteQueue:
    """Streams in one SQLite file with a write-ahead log; several processes may share it.

    Args:
        synchronous: ``FULL`` survives a power failure, ``NORMAL`` may lose the last records then, and
            survives anything that ends only the process.
    """

    def __init__(self, path: Path, synchronous: str = "NORMAL", busy_seconds: float = 5.0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(path, timeout=busy_seconds, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute(f"PRAGMA synchronous={'FULL' if synchronous == 'FULL' else 'NORMAL'}")
            self._database.execute(_TABLE)
            self._database.commit()
        except sqlite3.Error as error:
            raise StorageError(f"{path}: {error}; name another file for the state") from error

    def append(self, stream: str, records: Sequence[bytes]) -> None:
        with self._lock:
            try:
                with self._database:
                    self._database.execute("BEGIN IMMEDIATE")
                    (last,) = self._database.execute(
                        "SELECT COALESCE(MAX(position), 0) FROM records WHERE stream = ?", (stream,)
                    ).fetchone()
                    rows = [(stream, last + place, record) for place, record in enumerate(records, start=1)]
                    self._database.executemany("INSERT INTO records VALUES (?, ?, ?)", rows)
            except sqlite3.Error as error:
                raise StorageError(f"{self._path}: {error}; look at the disk") from error

    def read(self, stream: str, after: int, limit: int) -> list[Entry]:
        with self._lock:
            try:
                found = self._database.execute(
                    "SELECT position, record FROM records WHERE stream = ? AND position > ? "
                    "ORDER BY position LIMIT ?",
                    (stream, after, limit),
                ).fetchall()
            except sqlite3.Error as error:
                raise StorageError(f"{self._path}: {error}; look at the disk") from error
        return [Entry(position, bytes(record)) for position, record in found]

    def depth(self, stream: str) -> int:
        with self._lock:
            (count,) = self._database.execute(
                "SELECT COUNT(*) FROM records WHERE stream = ?", (stream,)
            ).fetchone()
        return int(count)

    def close(self) -> None:
        with self._lock:
            self._database.close()
