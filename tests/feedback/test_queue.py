"""Durable streams, and the thread that fills them."""

import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from slate.errors import StorageError
from slate.feedback.queue import Entry
from slate.feedback.sqlite_queue import SqliteQueue
from slate.feedback.writer import BackgroundWriter


def test_streams_keep_their_order_and_apart(tmp_path: Path) -> None:
    queue = SqliteQueue(tmp_path / "state" / "slate.db")
    queue.append("a", [b"1", b"2"])
    queue.append("b", [b"x"])
    queue.append("a", [b"3"])
    assert queue.read("a", 0, 10) == [Entry(1, b"1"), Entry(2, b"2"), Entry(3, b"3")]
    assert queue.read("a", 1, 1) == [Entry(2, b"2")]
    assert (queue.depth("a"), queue.depth("b"), queue.depth("none")) == (3, 1, 0)
    queue.close()
    assert SqliteQueue(tmp_path / "state" / "slate.db").read("b", 0, 10) == [Entry(1, b"x")]


def test_two_processes_worth_of_writers_lose_and_repeat_nothing(tmp_path: Path) -> None:
    queues = [SqliteQueue(tmp_path / "q.db") for _ in range(2)]

    def write(queue: SqliteQueue, mark: bytes) -> None:
        for number in range(100):
            queue.append("s", [mark + str(number).encode()])

    threads = [
        threading.Thread(target=write, args=(queue, mark))
        for queue, mark in zip(queues, (b"a", b"b"), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = queues[0].read("s", 0, 1000)
    assert [e.position for e in entries] == list(range(1, 201))
    assert len({e.record for e in entries}) == 200


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "q.db").write_bytes(b"no database " * 100)
    with pytest.raises(StorageError, match=r"q\.db: file is not a database"):
        SqliteQueue(tmp_path / "q.db")


def test_records_are_written_soon_and_all_at_the_end(tmp_path: Path) -> None:
    queue = SqliteQueue(tmp_path / "q.db")
    writer = BackgroundWriter(queue, "s")
    records = [str(number).encode() for number in range(1_300)]
    assert all(writer.put(record) for record in records)
    writer.close()
    assert [e.record for e in queue.read("s", 0, 2_000)] == records
    assert (writer.written, writer.dropped) == (1_300, 0)
    assert writer.put(b"late") is False


class Stuck(SqliteQueue):
    """A queue on a disk that hangs until it is let go, and is full then."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.free = threading.Event()

    def append(self, *_: object) -> None:
        self.free.wait(10)
        raise StorageError("the disk is full")


def test_a_disk_that_hangs_delays_nobody_and_what_is_lost_is_counted(tmp_path: Path) -> None:
    stuck = Stuck(tmp_path / "q.db")
    writer = BackgroundWriter(stuck, "s", capacity=10)
    began = time.monotonic()
    taken = [writer.put(b"record") for number in range(100)]
    assert time.monotonic() - began < 1
    assert taken == [True] * 10 + [False] * 90
    stuck.free.set()
    writer.close()
    assert (writer.written, writer.dropped) == (0, 100)


def test_a_passing_trouble_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slate.feedback.writer._RETRY_SECONDS", 0.02)
    queue = SqliteQueue(tmp_path / "q.db", busy_seconds=0.01)
    blocker = sqlite3.connect(tmp_path / "q.db")
    blocker.execute("BEGIN IMMEDIATE")
    writer = BackgroundWriter(queue, "s")
    for number in range(5):
        writer.put(str(number).encode())
    time.sleep(0.3)
    assert writer.written == 0
    blocker.rollback()
    writer.close()
    assert [e.record for e in queue.read("s", 0, 10)] == [b"0", b"1", b"2", b"3", b"4"]


class Forgetful(SqliteQueue):
    """Writes, and then the answer is lost on its way: the first three times, and each time more has come."""

    lost = 3

    def append(self, stream: str, records: Sequence[bytes], ids: Sequence[str] = ()) -> list[bool]:
        added = super().append(stream, records, ids)
        if self.lost:
            self.lost -= 1
            raise StorageError("no answer")
        return added


def test_what_may_have_been_written_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slate.feedback.writer._RETRY_SECONDS", 0.02)
    queue = Forgetful(tmp_path / "q.db")
    writer = BackgroundWriter(queue, "s")
    for number in range(300):
        writer.put(str(number).encode())
        time.sleep(0.001)
    writer.close()
    assert queue.lost == 0
    assert [int(entry.record) for entry in queue.read("s", 0, 1_000)] == list(range(300))
    assert (writer.written, writer.dropped) == (300, 0)


def test_two_writers_never_take_each_others_records_for_their_own(tmp_path: Path) -> None:
    queue = SqliteQueue(tmp_path / "q.db")
    writers = [BackgroundWriter(queue, "s") for _ in range(2)]
    for number in range(200):
        for writer in writers:
            writer.put(str(number).encode())
    for writer in writers:
        writer.close()
    assert sorted(int(entry.record) for entry in queue.read("s", 0, 1_000)) == sorted([*range(200)] * 2)
