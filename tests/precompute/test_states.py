"""Thousands of users at once in model terms, against looking them up one by one."""

from datetime import UTC, datetime

import numpy as np
import pytest

from slate.recommend.open import open_release
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
        asked = recommender.funnel.ask_of(request, user.record)
        for name in ("items", "events", "times"):
            np.testing.assert_array_equal(
                getattr(asked.query.history, name), getattr(expected.query.history, name)
            )
        np.testing.assert_array_equal(asked.seen, expected.seen)
        assert (asked.query.at, asked.query.user) == (expected.query.at, expected.query.user)
        assert (asked.seed, asked.user_id) == (expected.seed, expected.user_id)


@pytest.mark.parametrize("count", [1, 3, 7, 500])
def test_partitions_hold_everybody_once_in_order(recommender: Recommender, count: int) -> None:
    whole = everybody(ReleasedUsers(recommender.opened, Partition(0, 1)))
    parts = [ReleasedUsers(recommender.opened, Partition(index, count)) for index in range(count)]
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
