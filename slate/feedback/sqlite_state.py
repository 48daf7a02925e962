"""Online state in an SQLite file."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from slate.clock import Clock, SystemClock
from slate.feedback.sqlite_file import NORMAL, SqliteFile
from slate.feedback.state import Happened, ItemChange, LiveUser, Precomputed

_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS history ("
    "user_id TEXT NOT NULL, event_id TEXT NOT NULL, item_id TEXT NOT NULL, event TEXT NOT NULL, "
    "at REAL NOT NULL, value REAL, PRIMARY KEY (user_id, event_id)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS blocked ("
    "user_id TEXT NOT NULL, item_id TEXT NOT NULL, PRIMARY KEY (user_id, item_id)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS slates ("
    "release_id TEXT NOT NULL, user_id TEXT NOT NULL, slate BLOB NOT NULL, at REAL NOT NULL, "
    "until REAL NOT NULL, PRIMARY KEY (release_id, user_id)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS slates_until ON slates (until)",
    "CREATE TABLE IF NOT EXISTS items ("
    "item_id TEXT PRIMARY KEY, version INTEGER NOT NULL, available INTEGER NOT NULL, "
    "features TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID",
    "CREATE UNIQUE INDEX IF NOT EXISTS items_version ON items (version)",
)
#: Each release once, without reading the slates between.
_RELEASES: Final = (
    "WITH RECURSIVE found (id) AS (SELECT MIN(release_id) FROM slates UNION ALL "
    "SELECT (SELECT MIN(release_id) FROM slates WHERE release_id > id) FROM found WHERE id IS NOT NULL) "
    "SELECT id FROM found WHERE id IS NOT NULL"
)
_OF_RELEASE: Final = (
    "DELETE FROM slates WHERE release_id = ?1 AND user_id IN "
    "(SELECT user_id FROM slates WHERE release_id = ?1 LIMIT 500)"
)
_EXPIRED: Final = (
    "DELETE FROM slates WHERE (release_id, user_id) IN "
    "(SELECT release_id, user_id FROM slates WHERE until <= ?1 LIMIT 500)"
)
_FORGET: Final = (
    "DELETE FROM history WHERE user_id = ?1 AND event_id IN ("
    "SELECT event_id FROM history WHERE user_id = ?1 ORDER BY at DESC, event_id DESC LIMIT -1 OFFSET ?2)"
)


class SqliteState:
    """The online state in one SQLite file, which may be that of the queue.

    Args:
        synchronous: see :class:`slate.feedback.sqlite_file.SqliteFile`.
        busy_seconds: how long another process' write is waited for.
    """

    def __init__(
        self, path: Path, synchronous: str = NORMAL, busy_seconds: float = 5.0, clock: Clock | None = None
    ) -> None:
        self._file = SqliteFile(path, synchronous, busy_seconds, _TABLES)
        self._clock = clock or SystemClock()

    def remember(self, happened: Mapping[str, Sequence[Happened]], keep: int) -> None:
        rows = [(user, *one) for user, events in happened.items() for one in events]
        with self._file.write() as database:
            database.executemany("INSERT OR IGNORE INTO history VALUES (?, ?, ?, ?, ?, ?)", rows)
            database.executemany(_FORGET, [(user, keep) for user in happened])

    def history(self, user_id: str) -> list[Happened]:
        rows = self._file.read(
            "SELECT event_id, item_id, event, at, value FROM history WHERE user_id = ? ORDER BY at, event_id",
            (user_id,),
        )
        return [Happened(*row) for row in rows]

    def block(self, user_id: str, item_ids: Sequence[str]) -> None:
        with self._file.write() as database:
            database.executemany(
                "INSERT OR IGNORE INTO blocked VALUES (?, ?)", [(user_id, item) for item in item_ids]
            )

    def blocked(self, user_id: str) -> frozenset[str]:
        rows = self._file.read("SELECT item_id FROM blocked WHERE user_id = ?", (user_id,))
        return frozenset(item for (item,) in rows)

    def users(self, user_ids: Collection[str]) -> dict[str, LiveUser]:
        happened: dict[str, list[Happened]] = {}
        blocked: dict[str, set[str]] = {}
        asked, marks = list(user_ids), ", ".join("?" * len(user_ids))
        for user, *row in self._file.read(
            "SELECT user_id, event_id, item_id, event, at, value FROM history "  # noqa: S608
            f"WHERE user_id IN ({marks}) ORDER BY user_id, at, event_id",
            asked,
        ):
            happened.setdefault(user, []).append(Happened(*row))
        for user, item in self._file.read(
            f"SELECT user_id, item_id FROM blocked WHERE user_id IN ({marks})",  # noqa: S608
            asked,
        ):
            blocked.setdefault(user, set()).add(item)
        return {
            user: LiveUser(happened.get(user, []), frozenset(blocked.get(user, ())))
            for user in happened.keys() | blocked.keys()
        }

    def put_slates(self, release_id: str, slates: Mapping[str, bytes], seconds: float) -> None:
        now = self._clock.now()
        at, until = now.timestamp(), (now + timedelta(seconds=seconds)).timestamp()
        with self._file.write() as database:
            database.executemany(
                "INSERT OR REPLACE INTO slates VALUES (?, ?, ?, ?, ?)",
                [(release_id, user, slate, at, until) for user, slate in slates.items()],
            )

    def slate(self, release_id: str, user_id: str) -> Precomputed | None:
        rows = self._file.read(
            "SELECT slate, at FROM slates WHERE release_id = ? AND user_id = ? AND until > ?",
            (release_id, user_id, self._clock.now().timestamp()),
        )
        return Precomputed(bytes(rows[0][0]), rows[0][1]) if rows else None

    def drop_slates(self, keep: Sequence[str]) -> int:
        gone = 0
        for (release_id,) in self._file.read(_RELEASES):
            if release_id not in keep:
                gone += self._delete(_OF_RELEASE, release_id)
        self._delete(_EXPIRED, self._clock.now().timestamp())
        return gone

    def _delete(self, some: str, value: object) -> int:
        """Little by little: whoever else writes to this file waits for a part, not for the whole."""
        gone = 0
        while True:
            with self._file.write() as database:
                part = database.execute(some, (value,)).rowcount
            gone += part
            if not part:
                return gone

    def put_items(self, items: Sequence[tuple[str, bool, Mapping[str, object]]]) -> int:
        at = self._clock.now().timestamp()
        with self._file.write() as database:
            (version,) = database.execute("SELECT COALESCE(MAX(version), 0) FROM items").fetchone()
            for item_id, available, features in items:
                version += 1
                database.execute(
                    "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?)",
                    (item_id, version, available, json.dumps(features, separators=(",", ":")), at),
                )
        return int(version)

    def items(self, after: int) -> list[ItemChange]:
        rows = self._file.read(
            "SELECT version, item_id, available, features, at FROM items WHERE version > ? ORDER BY version",
            (after,),
        )
        return [
            ItemChange(version, item_id, bool(available), json.loads(features), at)
            for version, item_id, available, features, at in rows
        ]

    def close(self) -> None:
        self._file.close()
