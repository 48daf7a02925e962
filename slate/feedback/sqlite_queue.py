"""Streams of records in an SQLite file."""

import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from slate.errors import ConflictError, FullError, NotFoundError, SlateError, StorageError
from slate.feedback.queue import NO_LIMIT, REMEMBERED_SECONDS, Claim, Entry
from slate.feedback.sqlite_file import NORMAL, SqliteFile

_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS records ("
    "stream TEXT NOT NULL, position INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY (stream, position)"
    ") WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS streams (stream TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS seen ("
    "stream TEXT NOT NULL, id TEXT NOT NULL, until REAL NOT NULL, PRIMARY KEY (stream, id)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS seen_until ON seen (until)",
    "CREATE TABLE IF NOT EXISTS readers ("
    "stream TEXT NOT NULL, reader TEXT NOT NULL, acknowledged INTEGER NOT NULL, PRIMARY KEY (stream, reader)"
    ") WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS claims ("
    "stream TEXT NOT NULL, reader TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, "
    "consumer TEXT NOT NULL, until REAL NOT NULL, PRIMARY KEY (stream, reader, first)) WITHOUT ROWID",
)
_NOBODY: Final = ""


@dataclass
class _Append:
    """One caller's records, and what became of them."""

    stream: str
    records: Sequence[bytes]
    ids: Sequence[str]
    added: list[bool] = field(default_factory=list)
    tried: bool = False
    problem: Exception | None = None


class SqliteQueue:
    """Streams in one SQLite file with a write-ahead log; several processes may share it.

    Calls that append at the same time from several threads share one commit, so one flush of the disk.

    Args:
        synchronous: ``FULL`` survives a power failure, ``NORMAL`` may lose the last records then, and
            survives anything that ends only the process.
        pending: how many records a stream holds that some group has not acknowledged.
        remember_seconds: for how long an id counts as seen.
    """

    def __init__(
        self,
        path: Path,
        synchronous: str = NORMAL,
        busy_seconds: float = 5.0,
        pending: int = NO_LIMIT,
        remember_seconds: float = REMEMBERED_SECONDS,
    ) -> None:
        self._file = SqliteFile(path, synchronous, busy_seconds, _TABLES)
        self._pending = pending
        self._remember_seconds = remember_seconds
        self._waiting: list[_Append] = []
        self._gate = threading.Lock()
        self._turn = threading.Lock()

    def append(self, stream: str, records: Sequence[bytes], ids: Sequence[str] = ()) -> list[bool]:
        if ids and len(ids) != len(records):
            raise ValueError(f"{stream}: {len(records)} records with {len(ids)} ids")
        mine = _Append(stream, records, ids)
        with self._gate:
            self._waiting.append(mine)
        with self._turn:
            if not mine.tried:
                with self._gate:
                    together, self._waiting = self._waiting, []
                self._commit(together)
        if mine.problem is not None:
            raise mine.problem
        return mine.added

    def read(self, stream: str, after: int, limit: int) -> list[Entry]:
        found = self._file.read(
            "SELECT position, record FROM records WHERE stream = ? AND position > ? "
            "ORDER BY position LIMIT ?",
            (stream, after, limit),
        )
        return [Entry(position, bytes(record)) for position, record in found]

    def register(self, stream: str, group: str) -> None:
        with self._file.write() as database:
            _acknowledged(database, stream, group)

    def claim(self, stream: str, group: str, consumer: str, limit: int, seconds: float) -> Claim | None:
        now = time.time()
        with self._file.write() as database:
            first = _acknowledged(database, stream, group) + 1
            known = database.execute(
                "SELECT last, consumer, until FROM claims WHERE stream = ? AND reader = ? AND first = ?",
                (stream, group, first),
            ).fetchone()
            if known is not None:
                last, holder, until = known
                if holder not in (_NOBODY, consumer) and until > now:
                    return None
            else:
                last = min(first + limit - 1, _last(database, stream))
                if last < first:
                    return None
            database.execute(
                "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?, ?)",
                (stream, group, first, last, consumer, now + seconds),
            )
        return Claim(first, last)

    def acknowledge(self, stream: str, group: str, consumer: str, claim: Claim) -> None:
        with self._file.write() as database:
            if _acknowledged(database, stream, group) >= claim.last:
                return
            held = database.execute(
                "UPDATE claims SET consumer = '', until = 0 "
                "WHERE stream = ? AND reader = ? AND first = ? AND last = ? AND consumer = ?",
                (stream, group, claim.first, claim.last, consumer),
            )
            if held.rowcount != 1:
                raise ConflictError(
                    f"{stream} {claim.first}-{claim.last}: is no longer claimed by {consumer}; claim again"
                )
            _acknowledge(database, stream, group, claim.last)

    def rewind(self, stream: str, group: str, after: int) -> None:
        with self._file.write() as database:
            after = min(after, _acknowledged(database, stream, group))
            (cut,) = database.execute(
                "SELECT MAX(first) FROM claims WHERE stream = ? AND reader = ? AND first <= ? AND last > ?",
                (stream, group, after, after),
            ).fetchone()
            after = after if cut is None else cut - 1
            oldest = _oldest(database, stream)
            if after + 1 < oldest:
                raise NotFoundError(f"{stream}: is kept from position {oldest} on; replay from there")
            database.execute(
                "UPDATE claims SET consumer = '', until = 0 "
                "WHERE stream = ? AND reader = ? AND consumer <> ''",
                (stream, group),
            )
            _acknowledge(database, stream, group, after)

    def depth(self, stream: str, group: str = "") -> int:
        ((last, oldest, acknowledged),) = self._file.read(
            "SELECT (SELECT last FROM streams WHERE stream = ?1),"
            " (SELECT MIN(position) FROM records WHERE stream = ?1),"
            " (SELECT acknowledged FROM readers WHERE stream = ?1 AND reader = ?2)",
            (stream, group),
        )
        if last is None:
            return 0
        held = 0 if oldest is None else last - oldest + 1
        return int(last - acknowledged if group and acknowledged is not None else held)

    def trim(self, stream: str, before: int) -> int:
        with self._file.write() as database:
            database.execute("DELETE FROM seen WHERE until < ?", (time.time(),))
            upto = min(before - 1, _done(database, stream))
            gone = database.execute("DELETE FROM records WHERE stream = ? AND position <= ?", (stream, upto))
            database.execute("DELETE FROM claims WHERE stream = ? AND last <= ?", (stream, upto))
        return int(gone.rowcount)

    def close(self) -> None:
        self._file.close()

    def _commit(self, together: Sequence[_Append]) -> None:
        for one in together:
            one.tried, one.problem = True, StorageError(f"{self._file.path}: was interrupted; send again")
        refused: dict[int, FullError] = {}
        try:
            with self._file.write() as database:
                for place, one in enumerate(together):
                    try:
                        one.added = self._add(database, one)
                    except FullError as error:
                        refused[place] = error
        except SlateError as error:
            for one in together:
                one.problem = error
            return
        for place, one in enumerate(together):
            one.problem = refused.get(place)

    def _add(self, database: sqlite3.Connection, one: _Append) -> list[bool]:
        now = time.time()
        fresh = _fresh(database, one, now) if one.ids else [True] * len(one.records)
        last = _last(database, one.stream)
        if last - _done(database, one.stream) + sum(fresh) > self._pending:
            raise FullError(f"{one.stream}: {self._pending} records wait; send again later")
        new = [record for record, is_new in zip(one.records, fresh, strict=True) if is_new]
        database.executemany(
            "INSERT INTO records VALUES (?, ?, ?)",
            [(one.stream, last + place, record) for place, record in enumerate(new, start=1)],
        )
        if one.ids:
            until = now + self._remember_seconds
            ids = [name for name, is_new in zip(one.ids, fresh, strict=True) if is_new]
            database.executemany(
                "INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", [(one.stream, name, until) for name in ids]
            )
        database.execute("INSERT OR REPLACE INTO streams VALUES (?, ?)", (one.stream, last + len(new)))
        return fresh


def _fresh(database: sqlite3.Connection, one: _Append, now: float) -> list[bool]:
    fresh, here = [], set()
    for name in one.ids:
        seen = (
            name in here
            or database.execute(
                "SELECT 1 FROM seen WHERE stream = ? AND id = ? AND until >= ?", (one.stream, name, now)
            ).fetchone()
        )
        here.add(name)
        fresh.append(not seen)
    return fresh


def _last(database: sqlite3.Connection, stream: str) -> int:
    found = database.execute("SELECT last FROM streams WHERE stream = ?", (stream,)).fetchone()
    return int(found[0]) if found else 0


def _oldest(database: sqlite3.Connection, stream: str) -> int:
    (found,) = database.execute("SELECT MIN(position) FROM records WHERE stream = ?", (stream,)).fetchone()
    return int(found) if found is not None else _last(database, stream) + 1


def _acknowledged(database: sqlite3.Connection, stream: str, group: str) -> int:
    """Up to where the group is done; a group that is new begins before the first record."""
    found = database.execute(
        "SELECT acknowledged FROM readers WHERE stream = ? AND reader = ?", (stream, group)
    ).fetchone()
    if found is None:
        _acknowledge(database, stream, group, _oldest(database, stream) - 1)
        return _oldest(database, stream) - 1
    return int(found[0])


def _acknowledge(database: sqlite3.Connection, stream: str, group: str, position: int) -> None:
    database.execute("INSERT OR REPLACE INTO readers VALUES (?, ?, ?)", (stream, group, position))


def _done(database: sqlite3.Connection, stream: str) -> int:
    """Up to where every group is done; nothing is done where there is no group."""
    (least,) = database.execute(
        "SELECT MIN(acknowledged) FROM readers WHERE stream = ?", (stream,)
    ).fetchone()
    return int(least) if least is not None else 0
