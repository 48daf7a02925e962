from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slate.clock import microseconds
from slate.data.sequences import UserLog
from slate.data.vocabulary import IdMap
from slate.recommend import users
from slate.recommend.request import Interaction

ITEMS = ("i1", "i2", "i3")


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


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> users.UserStore:
    monkeypatch.setattr(users, "_ROW_GROUP", 2)
    rows = [
        ("bob", "i2", "view", 3),
        ("bob", "i1", "buy", 1),
        ("bob", "i3", "view", 2),
        ("bob", "i1", "view", 4),
        ("åsa", "i2", "buy", 9),
    ]
    log = UserLog.from_table(interactions(rows), IdMap.of(ITEMS), ("view", "buy"))
    features = pa.table({"user_id": ["cy", "bob", "dee"], "age": [30.0, None, 41.0]})
    path = tmp_path / "users" / "users.parquet"
    users.write_users(path, log, ITEMS, ("view", "buy"), features, length=3)
    return users.UserStore(path)


def test_the_last_interactions_come_back_oldest_first(store: users.UserStore) -> None:
    bob = store.get("bob")
    assert bob is not None
    assert list(bob.history) == [
        Interaction("i3", "view", at(2)),
        Interaction("i2", "view", at(3)),
        Interaction("i1", "view", at(4)),
    ]
    assert bob.features == {"age": None}


def test_seen_holds_more_than_the_kept_history(store: users.UserStore) -> None:
    bob = store.get("bob")
    assert bob is not None
    assert sorted(bob.seen) == ["i1", "i2", "i3"]


def test_users_are_found_across_row_groups_and_without_interactions(store: users.UserStore) -> None:
    assert len(store) == 4
    cy, dee, asa = store.get("cy"), store.get("dee"), store.get("åsa")
    assert cy is not None
    assert dee is not None
    assert asa is not None
    assert (cy.history, cy.features, dee.features, asa.features) == (
        (),
        {"age": 30.0},
        {"age": 41.0},
        {"age": None},
    )


@pytest.mark.parametrize("user", ["", "alice", "bob ", "zzz", "å"])
def test_an_unknown_user_has_no_state(store: users.UserStore, user: str) -> None:
    assert store.get(user) is None


def test_users_are_found_where_the_file_has_no_statistics(store: users.UserStore, tmp_path: Path) -> None:
    path = tmp_path / "plain.parquet"
    table = pq.read_table(tmp_path / "users" / "users.parquet")
    pq.write_table(table, path, row_group_size=2, write_statistics=False)
    plain = users.UserStore(path)
    assert [plain.get(user) for user in ("bob", "cy", "dee", "åsa", "zzz")] == [
        store.get(user) for user in ("bob", "cy", "dee", "åsa", "zzz")
    ]


def test_the_sample_names_only_users_with_a_history(store: users.UserStore) -> None:
    assert store.sample(10) == ["bob", "åsa"]


def test_a_record_says_the_same_without_an_object_an_interaction(store: users.UserStore) -> None:
    bob, state, cy = store.record("bob"), store.get("bob"), store.record("cy")
    assert bob is not None
    assert cy is not None
    assert state is not None
    assert list(zip(bob.items.texts(), bob.events.texts(), bob.times.tolist(), strict=True)) == [
        (each.item_id, each.event, microseconds(each.at)) for each in state.history
    ]
    assert (bob.seen.texts(), bob.features) == (state.seen, state.features)
    assert (cy.items.texts(), cy.times.dtype, len(cy.times), cy.seen.texts()) == ([], "int64", 0, [])
    assert store.record("nobody") is None
