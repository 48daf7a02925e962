from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from slate.errors import DataError
from slate.feedback.files import replace
from slate.feedback.kept_days import KeptDays
from slate.feedback.tables import parquet
from slate.storage.local import LocalStore

SCHEMA = pa.schema([("user_id", pa.string()), ("number", pa.int64())])
FIRST, LAST = date(2026, 12, 1), date(2026, 12, 3)


class Counting(LocalStore):
    """A store that knows what was read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: list[str] = []

    def read(self, key: str) -> bytes:
        self.asked.append(key)
        return super().read(key)


def write(store: LocalStore, day: int, number: int, *rows: tuple[str, int]) -> str:
    key = f"events/date=2026-12-{day:02d}/{number:03d}.parquet"
    replace(store, key, parquet(SCHEMA, rows))
    return key


def odd(table: pa.Table) -> pa.Table:
    return table.filter(pa.array([value % 2 == 1 for value in table["number"].to_pylist()], pa.bool_()))


def test_only_what_is_new_is_read_again(tmp_path: Path) -> None:
    store = Counting(tmp_path)
    write(store, 1, 1, ("a", 1), ("b", 2))
    changing = write(store, 3, 1, ("c", 3))
    write(store, 4, 1, ("late", 9))
    days = KeptDays(store)

    def numbers() -> list[int]:
        found: list[int] = days.read("events/", SCHEMA, FIRST, LAST, "odd", odd)["number"].to_pylist()
        return found

    assert numbers() == [1, 3]
    assert len(store.asked) == 2
    assert numbers() == [1, 3]
    assert len(store.asked) == 2
    new = write(store, 2, 1, ("d", 5))
    replace(store, changing, parquet(SCHEMA, [("c", 3), ("e", 7)]))
    assert numbers() == [1, 5, 3, 7]
    assert store.asked[2:] == [new, changing]
    store.delete(new)
    assert numbers() == [1, 3, 7]
    everything = days.read("events/", SCHEMA, FIRST, LAST, "all", lambda table: table)
    assert everything["number"].to_pylist() == [1, 2, 3, 7]


def test_a_file_that_cannot_be_read_is_named_every_time_and_others_are_kept(tmp_path: Path) -> None:
    store = Counting(tmp_path)
    write(store, 1, 1, ("a", 1))
    store.write_new("events/date=2026-12-02/broken.parquet", b"no")
    days = KeptDays(store)
    for _ in range(2):
        with pytest.raises(DataError, match=r"broken\.parquet"):
            days.read("events/", SCHEMA, FIRST, LAST, "odd", odd)
    assert len(store.asked) == 3
    assert days.read("events/", SCHEMA, date(2026, 12, 5), LAST, "odd", odd).num_rows == 0
