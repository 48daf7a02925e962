from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest

from slate.clock import microseconds
from slate.data.sequences import UserLog
from slate.data.vocabulary import IdMap
from slate.errors import ReleaseError
from slate.recommend import users
from slate.recommend.users import UserStore, write_users

ITEMS = ("i1", "i2", "i3")
NAMES = ["bob", "cy", "dee", "z", "åsa", "😀"]


def at(day: int) -> datetime:
    return datetime(2024, 1, day, tzinfo=UTC)


def interactions(rows: list[tuple[str, str, str, int]]) -> pa.Table:
    return pa.table(
        {
            "user_id": pa.array([r[0] for r in rows], pa.string()),
            "item_id": pa.array([r[1] for r in rows], pa.string()),
            "event": pa.array([r[2] for r in rows], pa.string()),
            "value": pa.array([None] * len(rows), pa.float64()),
            "weight": pa.array([1.0] * len(rows), pa.float64()),
            "timestamp": pa.array([at(r[3]) for r in rows], pa.timestamp("us", "UTC")),
        }
    )


ROWS = [
    ("bob", "i2", "view", 3),
    ("bob", "i1", "buy", 1),
    ("bob", "i3", "view", 2),
    ("bob", "i1", "view", 4),
    ("åsa", "i2", "buy", 9),
    ("😀", "i3", "view", 5),
]


def written(path: Path) -> Path:
    log = UserLog.from_table(interactions(ROWS), IdMap.of(ITEMS), ("view", "buy"))
    features = pa.table({"user_id": ["cy", "bob", "dee", "z"], "age": [30.0, None, 41.0, 1.0]})
    write_users(path, log, features, length=3)
    return path


@pytest.fixture(params=[2, 65_536])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UserStore:
    """The same users in batches of two, and all in one."""
    monkeypatch.setattr(users, "_BATCH", request.param)
    return UserStore(written(tmp_path / "users" / "users.arrow"))


def test_the_last_interactions_come_back_oldest_first(store: UserStore) -> None:
    bob = store.record("bob")
    assert bob is not None
    assert bob.history.items.tolist() == [2, 1, 0]
    assert bob.history.events.tolist() == [1, 1, 1]
    assert bob.history.times.tolist() == [microseconds(at(day)) for day in (2, 3, 4)]
    assert [array.dtype for array in (*bob.history, bob.seen)] == ["int32", "int16", "int64", "int32"]
    assert bob.features == {"age": None}


def test_seen_holds_more_than_the_kept_history(store: UserStore) -> None:
    bob, asa = store.record("bob"), store.record("åsa")
    assert bob is not None
    assert asa is not None
    assert (bob.seen.tolist(), asa.seen.tolist(), asa.history.events.tolist()) == ([0, 1, 2], [1], [2])


def test_users_are_found_in_every_batch_and_without_interactions(store: UserStore) -> None:
    assert len(store) == len(NAMES)
    found = [store.record(name) for name in NAMES]
    assert [None if each is None else each.features["age"] for each in found] == [
        *(None, 30.0, 41.0, 1.0),
        *(None, None),
    ]
    assert [0 if each is None else len(each.history.items) for each in found] == [3, 0, 0, 0, 1, 1]


def test_places_are_those_of_the_sorted_ids(store: UserStore) -> None:
    assert [store.id_at(place) for place in range(len(store))] == NAMES == sorted(NAMES)
    assert [store.place(name) for name in NAMES] == list(range(len(NAMES)))
    for stranger in ("", "a", "bob ", "d", "é", "zzz", "\U0010ffff"):
        assert store.place(stranger) == sum(name < stranger for name in NAMES), stranger
    for place, name in enumerate(NAMES):
        one, other = store.record_at(place), store.record(name)
        assert other is not None
        assert one.features == other.features
        np.testing.assert_array_equal(one.history.times, other.history.times)


@pytest.mark.parametrize("user", ["", "alice", "bob ", "zzz", "å", "\ud800", "\U0010ffff", "b" * 10_000])
def test_an_unknown_user_has_no_state(store: UserStore, user: str) -> None:
    assert store.record(user) is None


def test_the_sample_names_only_users_with_a_history(store: UserStore) -> None:
    assert store.sample(10) == ["bob", "åsa", "😀"]
    assert store.sample(1) == ["bob"]


def test_rows_are_those_of_the_release(store: UserStore) -> None:
    store.check(items=3, events=2)
    with pytest.raises(ReleaseError, match="items from 0 to 2, where the release has 0 to 1"):
        store.check(items=2, events=2)
    with pytest.raises(ReleaseError, match="events from 1 to 2, where the release has 1 to 1"):
        store.check(items=3, events=1)


def test_nobody_at_all(tmp_path: Path) -> None:
    log = UserLog.from_table(interactions([]), IdMap.of(ITEMS), ("view", "buy"))
    write_users(tmp_path / "users.arrow", log, pa.table({"user_id": pa.array([], pa.string())}), length=3)
    nobody = UserStore(tmp_path / "users.arrow")
    nobody.check(0, 0)
    assert (len(nobody), nobody.record("bob"), nobody.place("bob"), nobody.sample(3)) == (0, None, 0, [])


def test_what_is_no_users_file_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "users.arrow")
    table = pa.ipc.open_file(path).read_all()
    for changed, why in (
        (table.drop_columns(["seen"]), "column seen is missing where list<item: int32> is wanted"),
        (table.set_column(0, "user_id", pa.array(range(len(table)))), "column user_id is int64"),
    ):
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, changed.schema) as file:
            file.write_table(changed)
        with pytest.raises(ReleaseError, match=why):
            UserStore(path)
    path.write_bytes(b"PAR1 no Arrow")
    with pytest.raises(ReleaseError, match=r"users\.arrow: no Arrow file of users"):
        UserStore(path)
    with pytest.raises(ReleaseError, match="train again"):
        UserStore(tmp_path / "none.arrow")
