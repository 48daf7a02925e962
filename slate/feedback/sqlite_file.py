"""One SQLite file with a write-ahead log, shared by threads and processes."""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from slate.errors import StorageError

FULL: Final = "FULL"
NORMAL: Final = "NORMAL"
_OPENING_PAUSE: Final = 0.02


class SqliteFile:
    """A connection for writing, one writer at a time, and one for reading, which writers never delay.

    Args:
        synchronous: ``FULL`` flushes the log at every commit and survives a power failure; ``NORMAL`` may
            lose what was committed since the last checkpoint then, whole transactions from the end, and
            survives anything that ends only processes.
        busy_seconds: how long another process' write is waited for.
        tables: statements that make the tables where they are missing.

    Raises:
        StorageError: the file is no database, or cannot be opened or written.
    """

    def __init__(self, path: Path, synchronous: str, busy_seconds: float, tables: Sequence[str]) -> None:
        self.path = path
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._busy_seconds = busy_seconds
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._connect(synchronous)
            self._reader = self._connect(synchronous)
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"{path}: {error}; name another file for the state") from error
        with self.write() as database:
            for statement in tables:
                database.execute(statement)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is durable at the end, or none of it happened."""
        with self._writing:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                except BaseException:
                    self._writer.execute("ROLLBACK")
                    raise
                self._commit()
            except sqlite3.Error as error:
                raise self._unusable(error) from error

    def read(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows of what is committed."""
        with self._reading:
            try:
                return self._reader.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise self._unusable(error) from error

    def close(self) -> None:
        """Close both connections."""
        with self._writing, self._reading:
            self._writer.close()
            self._reader.close()

    def _commit(self) -> None:
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    def _unusable(self, error: sqlite3.Error) -> StorageError:
        return StorageError(f"{self.path}: {error}; look at the disk")

    def _connect(self, synchronous: str) -> sqlite3.Connection:
        database = sqlite3.connect(
            self.path, timeout=self._busy_seconds, check_same_thread=False, isolation_level=None
        )
        self._use_log(database)
        database.execute(f"PRAGMA synchronous={FULL if synchronous == FULL else NORMAL}")
        return database

    def _use_log(self, database: sqlite3.Connection) -> None:
        # The change to a write-ahead log does not wait for locks by itself.
        until = time.monotonic() + max(self._busy_seconds, 1.0)
        while True:
            try:
                database.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(_OPENING_PAUSE)
                continue
            return
