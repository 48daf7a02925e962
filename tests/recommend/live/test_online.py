"""The live state of a server over a real state: what it says of users, slates and items."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from slate.clock import ManualClock
from slate.config.online import OnlineConfig
from slate.feedback.sqlite_state import SqliteState
from slate.feedback.state import Happened, LiveUser
from slate.recommend.live import Ahead
from slate.recommend.live.online import OnlineLive
from slate.recommend.precompute.form import packed
from slate.recommend.stages.records import Picked
from tests.recommend.live.states import Breakable, raises

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PICKED = Picked(["pen", "ink"], [0.5, 0.25], ["two_tower", "fresh"], [1.0, 0.5])
SLATE = PICKED.items()
LIKE = Happened("e", "pen", "like", 1.0)


class Watch:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def state_failed(self, operation: str, reason: str) -> None:
        self.told.append((operation, reason))

    def looked_ahead(self, age: float | None) -> None:
        self.told.append(("ahead", age))

    def events_ignored(self, count: int) -> None:
        self.told.append(("ignored", count))

    def items_known(self, taken_down: int, new: int, refused: int) -> None:
        self.told.append(("items", taken_down, new, refused))


class World:
    def __init__(self, path: Path) -> None:
        self.clock = ManualClock(NOON)
        self.state = Breakable(path)
        self.state.real = SqliteState(path, clock=self.clock)
        self.watch = Watch()
        config = OnlineConfig(live_ms=10_000, items_s=60)
        self.live = OnlineLive(lambda: self.state, config, self.watch, self.clock)

    def ahead(self, release_id: str = "r-1", user_id: str = "ann") -> Ahead:
        return asyncio.run(self.live.ahead(release_id, user_id, 10.0))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "state.db")
    yield made
    made.live.close()


def test_users_are_asked_for_at_once_and_nobody_for_nobody(world: World) -> None:
    world.state.real.remember({"ann": [LIKE]}, 9)
    world.state.real.block("bob", ["cap"])
    assert world.live.users({"ann", "bob", "stranger"}) == {
        "ann": LiveUser([LIKE]),
        "bob": LiveUser([], frozenset(["cap"])),
    }
    assert world.state.asked == 1
    assert world.live.users(()) == {}
    assert world.state.asked == 1
    world.state.trouble = raises
    assert world.live.users({"ann"}) == {}
    assert world.watch.told == [("users", "failed")]


def test_a_slate_of_this_release_with_its_age_and_what_was_done_since(world: World) -> None:
    world.state.real.put_slates("r-1", {"ann": packed(PICKED)}, 600)
    world.state.real.remember({"ann": [LIKE]}, 9)
    world.clock.advance(timedelta(seconds=90))
    assert world.ahead() == Ahead(SLATE, LiveUser([LIKE]))
    assert world.ahead("r-2") == Ahead((), LiveUser([LIKE]))
    assert world.ahead(user_id="bob") == Ahead()
    assert world.watch.told == [("ahead", 90.0), ("ahead", None), ("ahead", None)]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda world: world.state.real.put_slates("r-1", {"ann": b"no slate"}, 600), ("slate", "failed")),
        (lambda world: setattr(world.state, "trouble", raises), ("slate", "failed")),
        (lambda world: world.clock.advance(timedelta(seconds=600)), ("ahead", None)),
    ],
    ids=["garbage", "raises", "expired"],
)
def test_what_is_no_slate_is_none(
    world: World, spoil: Callable[[World], None], told: tuple[object, ...]
) -> None:
    world.state.real.put_slates("r-1", {"ann": packed(PICKED)}, 600)
    spoil(world)
    assert world.ahead() == Ahead()
    assert world.watch.told == [told]


def test_items_are_known_when_it_has_started(world: World) -> None:
    world.state.real.put_items([("pen", False, {}), ("ink", True, {})])
    assert world.live.unavailable() == frozenset()
    world.live.start()
    assert world.live.unavailable() == {"pen"}
    assert world.watch.told == [("items", 1, 0, 0)]


def test_it_starts_while_the_state_is_down(world: World) -> None:
    world.state.trouble = raises
    world.live.start()
    assert world.live.unavailable() == frozenset()
    assert ("items", "failed") in world.watch.told


def test_ignored_events_are_counted(world: World) -> None:
    world.live.ignored(0)
    world.live.ignored(2)
    assert world.watch.told == [("ignored", 2)]
