"""One contract, two online states: an SQLite file and a real Redis."""

from datetime import UTC, datetime, timedelta

from slate.clock import ManualClock
from slate.feedback.state import Happened, ItemChange, LiveUser
from tests.feedback.conftest import Backend

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def _happened(name: str, at: float, value: float | None = None) -> Happened:
    return Happened(name, f"item-{name}", "like", at, value)


def test_a_history_is_ordered_by_time_and_keeps_the_latest(backend: Backend) -> None:
    state = backend.state()
    early, late, middle = _happened("b", 1.5), _happened("a", 1e9 + 0.123456, 0.25), _happened("é", 7.0)
    state.remember({"ann": [late, early], "bob": [middle]}, keep=3)
    state.remember({"ann": [middle]}, keep=3)
    assert backend.state().history("ann") == [early, middle, late]
    assert state.history("bob") == [middle]
    assert state.history("stranger") == []
    state.remember({"ann": [_happened("c", 8.0), _happened("d", 0.5)]}, keep=3)
    assert [one.event_id for one in state.history("ann")] == ["é", "c", "a"]
    state.remember({"ann": []}, keep=1)
    assert [one.event_id for one in state.history("ann")] == ["a"]


def test_an_event_is_remembered_once(backend: Backend) -> None:
    state = backend.state()
    state.remember({"ann": [_happened("a", 1.0)]}, keep=9)
    state.remember({"ann": [_happened("a", 5.0), _happened("b", 1.0)], "bob": [_happened("a", 3.0)]}, keep=9)
    assert state.history("ann") == [_happened("a", 1.0), _happened("b", 1.0)]
    assert state.history("bob") == [_happened("a", 3.0)]


def test_users_with_strange_names_do_not_meet(backend: Backend) -> None:
    state = backend.state()
    names = ["a", "a:order", "order:a", "a*", "a b", "é", "a\x00b"]
    for place, name in enumerate(names):
        state.remember({name: [_happened(str(place), 1.0)]}, keep=2)
        state.block(name, [f"item {place}"])
    assert [[one.event_id for one in state.history(name)] for name in names] == [[str(i)] for i in range(7)]
    assert [state.blocked(name) for name in names] == [frozenset([f"item {i}"]) for i in range(7)]


def test_what_a_user_blocks_adds_up(backend: Backend) -> None:
    state = backend.state()
    assert state.blocked("ann") == frozenset()
    state.block("ann", ["x", "y"])
    state.block("ann", ["y", "z"])
    state.block("ann", [])
    assert backend.state().blocked("ann") == {"x", "y", "z"}
    assert state.blocked("bob") == frozenset()


def test_several_users_are_looked_up_at_once(backend: Backend) -> None:
    state = backend.state()
    late, early = _happened("b", 2.0, 0.5), _happened("c", 1.0)
    state.remember({"ann": [late, early], "bob": [late]}, keep=9)
    state.block("ann", ["x"])
    state.block("cy", ["y", "z"])
    assert state.users(["ann", "cy", "stranger"]) == {
        "ann": LiveUser([early, late], frozenset("x")),
        "cy": LiveUser([], frozenset("yz")),
    }
    assert state.users({"bob"}) == {"bob": LiveUser([late])}
    assert state.users([]) == {}


def test_a_slate_belongs_to_its_release_and_expires(backend: Backend) -> None:
    clock = ManualClock(NOON)
    state = backend.state(clock)
    state.put_slates("r-1", {"ann": b'{"a":\n1}', "bob": b"2"}, 60)
    state.put_slates("r-2", {"ann": b"3"}, 600)
    found = state.slate("r-1", "ann")
    assert found is not None
    assert (found.slate, found.at) == (b'{"a":\n1}', NOON.timestamp())
    assert state.slate("r-3", "ann") is state.slate("r-2", "bob") is None
    clock.advance(timedelta(seconds=60))
    assert state.slate("r-1", "ann") is None
    later = state.slate("r-2", "ann")
    assert later is not None
    assert later.slate == b"3"
    state.put_slates("r-1", {"ann": b"4"}, 60)
    again = state.slate("r-1", "ann")
    assert again is not None
    assert (again.slate, again.at) == (b"4", clock.now().timestamp())


def test_slates_of_other_releases_are_dropped(backend: Backend) -> None:
    state = backend.state()
    state.put_slates("r-1", {f"user-{i}": b"1" for i in range(2_500)}, 600)
    state.put_slates("r-*", {"ann": b"1"}, 600)
    state.put_slates("r-2", {"ann": b"2"}, 600)
    state.remember({"ann": [_happened("a", 1.0)]}, keep=2)
    assert state.drop_slates(["r-1", "r-2"]) == 1
    assert state.drop_slates(["r-2"]) == 2_500
    assert state.slate("r-1", "user-7") is None
    assert state.slate("r-2", "ann") is not None
    assert state.drop_slates([]) == 1
    assert state.drop_slates([]) == 0
    assert state.history("ann") == [_happened("a", 1.0)]


def test_the_latest_change_of_each_item_in_order(backend: Backend) -> None:
    clock = ManualClock(NOON)
    state = backend.state(clock)
    assert state.items(0) == []
    first = state.put_items([("pen", True, {"price": 2.5, "tags": ["é"]}), ("ink", True, {})])
    assert [c.item_id for c in state.items(0)] == ["pen", "ink"]
    clock.advance(timedelta(seconds=1))
    second = state.put_items([("pen", False, {})])
    assert second > first
    assert state.items(first) == [ItemChange(second, "pen", False, {}, NOON.timestamp() + 1)]
    assert [(c.item_id, c.available) for c in backend.state().items(0)] == [("ink", True), ("pen", False)]
    assert state.items(second) == []
    assert state.put_items([]) == second


def test_shown_slates_are_found_by_their_exposure_id(backend: Backend) -> None:
    shown = backend.shown()
    assert shown.find([]) == {}
    shown.put({f"v1.{i}": str(i).encode() for i in range(1_200)}, 600)
    shown.put({"v1.7": b"again"}, 600)
    wanted = [f"v1.{i}" for i in range(1_200)]
    found = backend.shown().find([*wanted, "v1.none"])
    assert found == {f"v1.{i}": b"again" if i == 7 else str(i).encode() for i in range(1_200)}
