"""Thousands of users at once in model terms, against looking them up one by one."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slate.clock import microseconds
from slate.recommend.open import open_release
from slate.recommend.opened import USERS
from slate.recommend.precompute.partition import Partition
from slate.recommend.precompute.states import Known, ReleasedUsers
from slate.recommend.recommender import Recommender
from slate.recommend.request import Request
from tests.conftest import TinyRun

AT = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def recommender(tiny: TinyRun) -> Recommender:
    return open_release("stable", store=tiny.store)


def everybody(users: ReleasedUsers, after: str | None = None) -> list[Known]:
    return list(users.after(after))


def test_they_are_asked_as_a_request_of_theirs_would_be(recommender: Recommender) -> None:
    found = everybody(ReleasedUsers(recommender.opened, Partition(0, 1)))
    assert len(found) == len(recommender.users) > 200
    for user in found:
        request = Request(user_id=user.user_id, at=AT)
        (expected,) = recommender.funnel.prepare([request])
        asked = recommender.funnel.ask_of(request, user.history, user.seen, user.features)
        for name in ("items", "events", "times"):
            np.testing.assert_array_equal(
                getattr(asked.query.history, name), getattr(expected.query.history, name)
            )
        np.testing.assert_array_equal(asked.seen, expected.seen)
        assert (asked.query.at, asked.query.user) == (expected.query.at, expected.query.user)
        assert (asked.seed, asked.user_id) == (expected.seed, expected.user_id)
        state = recommender.users.get(user.user_id)
        assert state is not None
        if state.history:
            assert user.last == microseconds(state.history[-1].at)


@pytest.fixture
def regrouped(recommender: Recommender, tmp_path: Path) -> Recommender:
    """The same users in row groups of 30, and with an item that the catalogue does not know."""
    folder = tmp_path / "release"
    folder.mkdir()
    for entry in recommender.directory.iterdir():
        if entry.name != "users":
            (folder / entry.name).symlink_to(entry)
    table = pq.read_table(recommender.directory / USERS)
    (folder / "users").mkdir()
    pq.write_table(table, folder / USERS, row_group_size=30)
    return Recommender(folder, recommender.sections, recommender.release_id)


@pytest.mark.parametrize("count", [1, 3, 7, 500])
def test_partitions_hold_everybody_once_in_order(regrouped: Recommender, count: int) -> None:
    whole = everybody(ReleasedUsers(regrouped.opened, Partition(0, 1)))
    parts = [ReleasedUsers(regrouped.opened, Partition(index, count)) for index in range(count)]
    found = [everybody(part) for part in parts]
    assert [user.user_id for own in found for user in own] == [user.user_id for user in whole]
    assert [len(part) for part in parts] == [len(own) for own in found]
    for stranger in ("", "a", "p1", "p100x", "p55", "zz", "é"):
        assert sum(part.owns(stranger) for part in parts) == 1, stranger
    for part, own in zip(parts, found, strict=True):
        assert all(part.owns(user.user_id) for user in own)
    middle = found[count // 2]
    if len(middle) > 2:
        part = parts[count // 2]
        assert everybody(part, middle[1].user_id)[0].user_id == middle[2].user_id
        assert everybody(part, middle[-1].user_id) == []


def test_what_the_release_does_not_know_is_left_out(recommender: Recommender, tmp_path: Path) -> None:
    folder = tmp_path / "release"
    folder.mkdir()
    for entry in recommender.directory.iterdir():
        if entry.name != "users":
            (folder / entry.name).symlink_to(entry)
    rows = pq.read_table(recommender.directory / USERS).to_pylist()
    row = next(row for row in rows if len(row["items"]) > 3)
    row["items"][1], row["events"][2] = "nothing known", "unheard of"
    row["seen"] = [*row["seen"], "another"]
    (folder / "users").mkdir()
    schema = pq.read_schema(recommender.directory / USERS)
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / USERS)
    changed = Recommender(folder, recommender.sections, "r-2")
    user = next(
        user
        for user in everybody(ReleasedUsers(changed.opened, Partition(0, 1)))
        if user.user_id == row["user_id"]
    )
    (expected,) = changed.funnel.prepare([Request(user_id=user.user_id)])
    assert len(user.history.items) == len(row["items"]) - 2
    np.testing.assert_array_equal(user.history.items, expected.query.history.items)
    np.testing.assert_array_equal(user.history.times, expected.query.history.times)
    asked = changed.funnel.ask_of(Request(), user.history, user.seen, user.features)
    np.testing.assert_array_equal(asked.seen, expected.seen)
