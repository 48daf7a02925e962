"""Every filter under one contract, then each with answers worked out by hand. The catalogue has six items."""

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.data.vocabulary import IdMap
from slate.recommend.filters.age import AgeFilter
from slate.recommend.filters.base import Filter, apply_filters, spare, without
from slate.recommend.filters.blocked import BlockedFilter
from slate.recommend.filters.country import CountryFilter
from slate.recommend.filters.excluded import ExcludedFilter
from slate.recommend.filters.seen import SeenFilter
from slate.recommend.filters.unavailable import UnavailableFilter

SIZE = 6
IDS = IdMap.of(tuple("abcdef"))
COUNTRIES = [["FR", "de"], [], ["de"], ["fr"], ["us"], ["us", "US"]]
LEAST = np.array([18, np.nan, 0, 12, 16, 18.5])


class Shop:
    """Live state that can be changed."""

    def __init__(self, *down: str) -> None:
        self.down: Collection[str] = frozenset(down)

    def unavailable(self) -> Collection[str]:
        return self.down


def filters() -> dict[str, Filter]:
    denied = np.array([False, True, False, False, False, False])
    return {
        "seen": SeenFilter(),
        "excluded": ExcludedFilter(),
        "blocked": BlockedFilter(),
        "unavailable": UnavailableFilter(IDS, denied, Shop("c", "gone")),
        "country": CountryFilter(COUNTRIES, "country"),
        "age": AgeFilter(LEAST, "age", 0.0),
    }


@pytest.mark.parametrize("name", list(filters()))
def test_every_candidate_is_kept_or_removed_in_order_and_headroom_covers_what_goes(
    name: str, make_ask: Callable[..., Any]
) -> None:
    each = filters()[name]
    assert each.name == name
    asks = [
        make_ask(),
        make_ask([0, 5], excluded=[1], blocked=[2, 3], user={"country": "de", "age": 17}),
        make_ask(range(SIZE), excluded=range(SIZE), blocked=range(SIZE), user={"country": "xx"}),
        make_ask(user={"country": float("nan"), "age": "not a number"}),
    ]
    for ask in asks:
        for candidates in ([], [3], [5, 0, 2, 1], list(range(SIZE)), [4, 4, 0]):
            rows = np.asarray(candidates, np.int32)
            found = each.apply(ask, rows)
            kept, removed = found.kept, found.removed
            assert sorted([*kept.tolist(), *removed.tolist()]) == list(range(len(rows)))
            assert kept.tolist() == sorted(kept.tolist())
        everything = np.arange(SIZE, dtype=np.int32)
        assert 0 <= each.headroom(ask, 3) <= SIZE
        assert each.headroom(ask, SIZE) >= len(each.apply(ask, everything).removed)


@pytest.mark.parametrize(
    ("name", "options", "left"),
    [
        ("seen", {"items": [0, 5, 0]}, [1, 2, 3, 4]),
        ("excluded", {"items": [0], "excluded": [2]}, [0, 1, 3, 4, 5]),
        ("blocked", {"blocked": [4, 5]}, [0, 1, 2, 3]),
        ("unavailable", {}, [0, 3, 4, 5]),
        ("country", {}, [0, 1, 2, 3, 4, 5]),
        ("country", {"user": {"country": "De"}}, [0, 1, 2]),
        ("country", {"user": {"country": "de"}, "context": {"country": "FR"}}, [0, 1, 3]),
        ("country", {"context": {"country": "jp"}}, [1]),
        ("age", {}, [1, 2]),
        ("age", {"user": {"age": 18}}, [0, 1, 2, 3, 4]),
        ("age", {"user": {"age": "12"}}, [1, 2, 3]),
    ],
)
def test_what_is_left(
    name: str, options: dict[str, Any], left: list[int], make_ask: Callable[..., Any]
) -> None:
    assert filters()[name].apply(make_ask(**options), np.arange(SIZE, dtype=np.int32)).kept.tolist() == left


def test_an_assumed_age_stands_for_an_unknown_one(make_ask: Callable[..., Any]) -> None:
    lenient = AgeFilter(LEAST, "age", 30.0)
    assert len(lenient.apply(make_ask(), np.arange(SIZE, dtype=np.int32)).removed) == 0


def test_live_state_is_followed_both_ways(make_ask: Callable[..., Any]) -> None:
    shop = Shop()
    each = UnavailableFilter(IDS, np.array([True, *[False] * 5]), shop)
    everything = np.arange(SIZE, dtype=np.int32)
    assert each.apply(make_ask(), everything).removed.tolist() == [0]
    shop.down = frozenset({"b", "f"})
    assert each.apply(make_ask(), everything).removed.tolist() == [0, 1, 5]
    assert each.headroom(make_ask(), 1) == 3
    shop.down = frozenset()
    assert each.apply(make_ask(), everything).removed.tolist() == [0]


def test_a_candidate_counts_for_the_first_filter_that_takes_it(make_ask: Callable[..., Any]) -> None:
    ask = make_ask([1, 2], excluded=[2, 4])
    outcome = apply_filters([SeenFilter(), ExcludedFilter()], ask, np.array([1, 2, 3, 4], np.int32))
    assert outcome.kept.tolist() == [2]
    assert {name: at.tolist() for name, at in outcome.removed.items()} == {"seen": [0, 1], "excluded": [3]}


CANDIDATES = st.lists(st.integers(0, SIZE - 1), max_size=12)
NAMED = st.sets(st.integers(0, SIZE - 1))


@given(candidates=CANDIDATES, seen=NAMED, excluded=NAMED, country=st.sampled_from(["de", "us", ""]))
def test_together_they_take_what_each_takes_of_what_is_left(
    candidates: list[int], seen: set[int], excluded: set[int], country: str, make_ask: Callable[..., Any]
) -> None:
    ask = make_ask(sorted(seen), excluded=sorted(excluded), user={"country": country, "age": 17})
    rows = np.asarray(candidates, np.int32)
    outcome = apply_filters(filters().values(), ask, rows)
    left = np.arange(len(rows))
    for name, each in filters().items():
        found = each.apply(ask, rows[left])
        assert outcome.removed[name].tolist() == left[found.removed].tolist()
        left = left[found.kept]
    assert outcome.kept.tolist() == left.tolist()


def test_no_filters_and_no_candidates(make_ask: Callable[..., Any]) -> None:
    assert apply_filters([], make_ask(), np.array([5, 6], np.int32)).kept.tolist() == [0, 1]
    empty = apply_filters([SeenFilter()], make_ask([1]), np.empty(0, np.int32))
    assert empty.kept.tolist() == empty.removed["seen"].tolist() == []


def test_spare_leaves_the_count_where_the_removed_lie_evenly() -> None:
    for removed in (0, 1, 37, 500, 999):
        more = spare(20, removed, 1000)
        assert more == 1000 or (20 + more) * (1000 - removed) / 1000 >= 20
    assert spare(20, 1000, 1000) == 1000


@given(st.sets(st.integers(0, 30)), st.lists(st.integers(0, 30)))
def test_without_removes_exactly_what_is_named(named: set[int], candidates: list[int]) -> None:
    found = without(np.asarray(sorted(named), np.int32), np.asarray(candidates, np.int32))
    assert [candidates[at] for at in found.kept] == [row for row in candidates if row not in named]
    assert [candidates[at] for at in found.removed] == [row for row in candidates if row in named]
