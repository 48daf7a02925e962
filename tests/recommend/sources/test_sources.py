"""Every source under one contract, then each with answers worked out by hand.

The catalogue has six items, rows 0 to 5.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from slate.clock import microseconds
from slate.data.sequences import UserLog
from slate.data.vocabulary import IdMap
from slate.errors import ModelError
from slate.recommend.newcomers.group import Group
from slate.recommend.sources.base import Asked, Source
from slate.recommend.sources.followed import FollowedAuthorsSource, FollowedUsersSource
from slate.recommend.sources.fresh import FreshSource
from slate.recommend.sources.neighbours import NeighbourSource
from slate.recommend.sources.popular import PopularSource
from slate.recommend.sources.two_tower import TwoTowerSource
from slate.recommend.users import UserStore, write_users
from slate.retrieval.index import ExactIndex
from slate.retrieval.sources.neighbours import Neighbours
from slate.retrieval.sources.records import NEVER, ItemRecords

SIZE = 6
IDS = tuple("abcdef")
#: Item 3 has no date at all.
SINCE = np.array([50, 40, 30, NEVER, 10, 60], np.int64)
VECTORS = np.array([[1, 0], [0.9, 0.1], [0, 1], [-1, 0], [0.5, 0.5], [0, -1]], np.float32)
AUTHORS = [["x"], ["y"], ["x", "z"], ["x"], [], ["x"]]


def neighbours() -> Neighbours:
    """0 -> 1 (0.8), 2 (0.5);  1 -> 2 (0.6), 0 (0.3);  2 -> 4 (0.9);  the others have none."""
    return Neighbours(
        np.array([0, 2, 4, 5, 5, 5, 5]),
        np.array([1, 2, 2, 0, 4], np.int32),
        np.array([0.8, 0.5, 0.6, 0.3, 0.9], np.float32),
    )


def moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> UserStore:
    """ann: a at 10 s, c at 30 s, hides e at 35 s;  bob: b at 20 s, c at 25 s."""
    rows = [("ann", "a", "v", 10), ("ann", "c", "v", 30), ("ann", "e", "hide", 35)]
    rows += [("bob", "b", "v", 20), ("bob", "c", "v", 25)]
    table = pa.table(
        {
            "user_id": [r[0] for r in rows],
            "item_id": [r[1] for r in rows],
            "event": [r[2] for r in rows],
            "value": pa.array([None] * len(rows), pa.float64()),
            "weight": [1.0] * len(rows),
            "timestamp": pa.array([moment(r[3]) for r in rows], pa.timestamp("us", "UTC")),
        }
    )
    log = UserLog.from_table(table, IdMap.of(IDS), ("v", "hide"))
    path = tmp_path_factory.mktemp("users") / "users.arrow"
    write_users(path, log, pa.table({"user_id": pa.array([], pa.string())}), 10)
    return UserStore(path)


@pytest.fixture(scope="module")
def sources(users: UserStore) -> Mapping[str, Source]:
    release: Any = SimpleNamespace(
        index=ExactIndex(VECTORS, IDS), newcomers=SimpleNamespace(group=Group(len(VECTORS)))
    )
    records = ItemRecords(np.array([3, 9, 0, 5, 5, 1]), SINCE)
    return {
        "two_tower": TwoTowerSource(release),
        "co_occurrence": NeighbourSource("co_occurrence", neighbours(), {1}, 2),
        "item2vec": NeighbourSource("item2vec", neighbours(), {1}, 20),
        "popular": PopularSource(records),
        "fresh": FreshSource(SINCE),
        "authors": FollowedAuthorsSource(AUTHORS, SINCE),
        "friends": FollowedUsersSource(users, {1}),
    }


NAMES = ["two_tower", "co_occurrence", "item2vec", "popular", "fresh", "authors", "friends"]


def asked(*asks: Any, embedding: tuple[float, float] = (1.0, 0.2)) -> Asked:
    return Asked(asks, np.tile(np.array(embedding, np.float32), (len(asks), 1)))


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_distinct_inside_and_no_more_than_asked(
    sources: Mapping[str, Source], name: str, make_ask: Callable[..., Any]
) -> None:
    follows = {"follows": ["x", "z", "ann", "bob", "nobody", "x"]}
    asks = [
        make_ask(),
        make_ask([0, 1, 0, 2], user=follows, at=microseconds(moment(100))),
        make_ask([5], [2]),
        make_ask([3, 3], context=follows, at=0),
    ]
    source = sources[name]
    for count in (0, 1, 3, SIZE, 100):
        found = source.candidates(asked(*asks), [count] * len(asks))
        assert len(found) == len(asks)
        for rows in found:
            assert rows.dtype == np.int32
            assert len(rows) <= min(count, SIZE)
            assert len(set(rows.tolist())) == len(rows)
            assert all(0 <= row < SIZE for row in rows)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_answers_as_one_by_one_and_counts_are_each_asks_own(
    sources: Mapping[str, Source], name: str, make_ask: Callable[..., Any]
) -> None:
    user = {"follows": ["x", "ann"]}
    asks = [make_ask([0]), make_ask([1, 2], user=user, at=microseconds(moment(99))), make_ask(at=45)]
    counts = [1, 4, 2]
    together = sources[name].candidates(asked(*asks), counts)
    for ask, count, rows in zip(asks, counts, together, strict=True):
        (alone,) = sources[name].candidates(asked(ask), [count])
        assert alone.tolist() == rows.tolist()
        (all_of_them,) = sources[name].candidates(asked(ask), [SIZE])
        assert all_of_them[:count].tolist() == rows.tolist()
    assert sources[name].candidates(Asked([], np.empty((0, 2), np.float32)), []) == []


def test_two_tower_names_the_closest(sources: Mapping[str, Source], make_ask: Callable[..., Any]) -> None:
    # Products with (1, 0.2): 1, 0.92, 0.2, -1, 0.6, -0.2.
    (rows,) = sources["two_tower"].candidates(asked(make_ask()), [4])
    assert rows.tolist() == [0, 1, 4, 2]


def test_two_tower_refuses_a_query_that_is_not_finite(
    sources: Mapping[str, Source], make_ask: Callable[..., Any]
) -> None:
    with pytest.raises(ModelError, match="not finite"):
        sources["two_tower"].candidates(asked(make_ask(), embedding=(np.nan, 1.0)), [3])


def test_neighbours_add_up_and_later_items_weigh_more(
    sources: Mapping[str, Source], make_ask: Callable[..., Any]
) -> None:
    # History 1, then 0. Of 0 (weight 1): 1 has 0.8, 2 has 0.5. Of 1 (weight 1/2): 2 has 0.3, 0 has 0.15.
    (rows,) = sources["item2vec"].candidates(asked(make_ask([1, 0])), [6])
    assert rows.tolist() == [1, 2, 0]
    # The other way: of 1: 2 has 0.6, 0 has 0.3. Of 0 (1/2): 1 has 0.4, 2 has 0.25: 2 first, then 1.
    (rows,) = sources["item2vec"].candidates(asked(make_ask([0, 1])), [6])
    assert rows.tolist() == [2, 1, 0]


def test_neighbours_look_at_recent_wanted_items_only(
    sources: Mapping[str, Source], make_ask: Callable[..., Any]
) -> None:
    # Two different items are looked at: 1 and 0, not 2. An unwanted event (code 2) says nothing.
    (rows,) = sources["co_occurrence"].candidates(asked(make_ask([2, 0, 1, 1])), [6])
    assert 4 not in rows
    (rows,) = sources["co_occurrence"].candidates(asked(make_ask([0, 2], [1, 2])), [6])
    assert rows.tolist() == [1, 2]


def test_popular_names_what_was_wanted_most(
    sources: Mapping[str, Source], make_ask: Callable[..., Any]
) -> None:
    (rows,) = sources["popular"].candidates(asked(make_ask()), [6])
    assert rows.tolist() == [1, 3, 4, 0, 5]


def test_fresh_knows_nothing_of_what_comes_later(
    sources: Mapping[str, Source], make_ask: Callable[..., Any]
) -> None:
    asks = [make_ask(at=1_000), make_ask(at=50), make_ask(at=10)]
    found = sources["fresh"].candidates(asked(*asks), [3, 3, 3])
    assert [rows.tolist() for rows in found] == [[5, 0, 1], [1, 2, 4], []]


def test_followed_authors_newest_first_and_nothing_that_comes_later(
    sources: Mapping[str, Source], make_ask: Callable[..., Any]
) -> None:
    asks = [
        make_ask(user={"follows": ["x"]}),
        make_ask(user={"follows": ["z", "y"]}),
        make_ask(user={"follows": ["x"]}, context={"follows": "z"}),
        make_ask(user={"follows": ["x"]}, at=60),
        make_ask(user={"follows": None}),
    ]
    found = sources["authors"].candidates(asked(*asks), [6] * 5)
    assert [rows.tolist() for rows in found] == [[5, 0, 2, 3], [1, 2], [2], [0, 2, 3], []]


def test_followed_users_latest_first_and_nothing_that_comes_later(
    sources: Mapping[str, Source], make_ask: Callable[..., Any]
) -> None:
    user = {"follows": ["bob", "ann", "gone"]}
    late, early = (
        make_ask(user=user, at=microseconds(moment(100))),
        make_ask(user=user, at=microseconds(moment(25))),
    )
    found = sources["friends"].candidates(asked(late, early), [6, 6])
    assert [rows.tolist() for rows in found] == [[2, 1, 0], [1, 0]]


def test_items_without_authors_break_nothing(make_ask: Callable[..., Any]) -> None:
    nobody = FollowedAuthorsSource([[] for _ in range(SIZE)], SINCE)
    (rows,) = nobody.candidates(asked(make_ask(user={"follows": ["x"]})), [6])
    assert rows.tolist() == []
