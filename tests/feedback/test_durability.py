"""A power failure takes what was not flushed: files are cut where they were flushed, or anywhere behind."""

import random
import shutil
from pathlib import Path

import pytest

from slate.config import FeedbackConfig
from slate.errors import StorageError
from slate.feedback.open import open_queue
from slate.feedback.redis_queue import RedisQueue
from slate.feedback.redis_server import RedisServer
from slate.feedback.sqlite_file import FULL, NORMAL, SqliteFile
from slate.feedback.sqlite_queue import SqliteQueue
from tests.feedback.stores import RedisProcess

BATCH = 3


def _append(queue: SqliteQueue | RedisQueue, number: int) -> None:
    names = [f"{number}-{place}" for place in range(BATCH)]
    queue.append("s", [name.encode() for name in names], names)


def _left(queue: SqliteQueue | RedisQueue) -> int:
    """How many batches are left: whole ones, from the first on, and ids know no more than that."""
    records = [entry.record.decode() for entry in queue.read("s", 0, 10_000)]
    count = len(records) // BATCH
    assert records == [f"{number}-{place}" for number in range(count) for place in range(BATCH)]
    again = [f"{count}-{place}" for place in range(BATCH)]
    if count:
        assert queue.append("s", [b"x"], [f"{count - 1}-0"]) == [False]
    assert queue.append("s", [name.encode() for name in again], again) == [True] * BATCH
    return count


@pytest.mark.parametrize("durability", ["power", "process"])
def test_what_an_acknowledgement_means_is_what_sqlite_is_told(tmp_path: Path, durability: str) -> None:
    queue = open_queue(FeedbackConfig(state=str(tmp_path / "q.db"), durability=durability))
    assert isinstance(queue, SqliteQueue)
    with queue._file.write() as database:
        (level,) = database.execute("PRAGMA synchronous").fetchone()
        (mode,) = database.execute("PRAGMA journal_mode").fetchone()
    assert (level, mode) == ({"power": 2, "process": 1}[durability], "wal")
    queue.close()


def test_a_file_cut_at_an_acknowledgement_has_all_that_was_acknowledged(tmp_path: Path) -> None:
    """With FULL each commit flushes the log, so no cut can be before the last acknowledgement."""
    queue = SqliteQueue(tmp_path / "q.db", FULL)
    for number in range(8):
        _append(queue, number)
        copy = tmp_path / f"copy-{number}"
        copy.mkdir()
        for file in tmp_path.glob("q.db*"):
            if not file.name.endswith("-shm"):  # Lost with the power, and made again.
                shutil.copy(file, copy)
    queue.close()
    for number in range(8):
        cut = SqliteQueue(tmp_path / f"copy-{number}" / "q.db")
        assert _left(cut) == number + 1
        cut.close()


def test_a_log_cut_anywhere_has_whole_batches_from_the_first_on(tmp_path: Path) -> None:
    """With NORMAL the log may be cut behind the last checkpoint: the bound is what came since then."""
    queue = SqliteQueue(tmp_path / "q.db", NORMAL)
    sizes = []
    for number in range(12):
        _append(queue, number)
        sizes.append((tmp_path / "q.db-wal").stat().st_size)
    for file in ("q.db", "q.db-wal"):
        shutil.copy(tmp_path / file, tmp_path / f"kept-{file}")
    queue.close()
    chance = random.Random(5)
    for place in range(12):
        size = chance.randrange(sizes[0], sizes[-1] + 1)
        folder = tmp_path / f"cut-{place}"
        folder.mkdir()
        shutil.copy(tmp_path / "kept-q.db", folder / "q.db")
        whole = (tmp_path / "kept-q.db-wal").read_bytes()
        (folder / "q.db-wal").write_bytes(whole[:size])
        cut = SqliteQueue(folder / "q.db")
        assert _left(cut) == sum(known <= size for known in sizes)
        cut.close()


@pytest.mark.parametrize("flush", ["always", "everysec"])
def test_an_append_only_file_cut_anywhere_behind_a_flush_has_whole_batches(
    tmp_path: Path, flush: str
) -> None:
    """``always`` flushes before it answers: nothing is behind; with ``everysec`` two seconds may be."""
    process = RedisProcess(tmp_path / "redis", flush)
    (log,) = (tmp_path / "redis" / "appendonlydir").glob("*.incr.aof")
    try:
        server = RedisServer(process.url, None)
        queue = RedisQueue(server)
        sizes = []
        for number in range(8):
            _append(queue, number)
            sizes.append(log.stat().st_size)
        server.close()
        process.kill()
        whole = log.read_bytes()
        chance = random.Random(7)
        for size in (sizes[-1], sizes[2], *(chance.randrange(sizes[0], sizes[-1]) for _ in range(4))):
            log.write_bytes(whole[:size])
            assert process.start()
            server = RedisServer(process.url, None)
            assert _left(RedisQueue(server)) == sum(known <= size for known in sizes)
            server.close()
            process.kill()
    finally:
        process.kill()


def test_a_failure_within_a_transaction_leaves_nothing_of_it(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "f.db", FULL, 1.0, ["CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY)"])
    with pytest.raises(StorageError, match=r"f\.db: UNIQUE constraint"):
        _insert(file, 1, 1)
    with pytest.raises(ZeroDivisionError):
        _insert(file, 1, 0)
    assert file.read("SELECT * FROM t") == []
    file.close()
    with pytest.raises(StorageError, match="closed"):
        file.read("SELECT * FROM t")


def _insert(file: SqliteFile, first: int, second: int) -> None:
    with file.write() as database:
        database.execute("INSERT INTO t VALUES (?)", (first,))
        database.execute("INSERT INTO t VALUES (?)", (1 // second,))
