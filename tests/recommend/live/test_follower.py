"""What is taken down is known from the first look on, and every taker learns of everything once."""

import gc
from collections.abc import Sequence
from pathlib import Path

import pytest

from slate.errors import StorageError
from slate.feedback.sqlite_state import SqliteState
from slate.feedback.state import ItemChange
from slate.recommend.live.follower import ItemFollower
from slate.recommend.live.reader import OpenedWhenAsked
from tests.recommend.live.states import Breakable, raises


class Taker:
    """Keeps what it is told."""

    shown = refused = 0

    def __init__(self) -> None:
        self.version = 0
        self.told: list[tuple[str, bool]] = []

    def take(self, changes: Sequence[ItemChange]) -> None:
        self.told += [(change.item_id, change.available) for change in changes]
        self.version = changes[-1].version


def test_items_go_and_come_back(tmp_path: Path) -> None:
    state = Breakable(tmp_path / "state.db")
    follower = ItemFollower(OpenedWhenAsked(lambda: state), 60)
    state.real.put_items([("pen", False, {}), ("ink", True, {}), ("cap", False, {})])
    follower.look()
    down = follower.unavailable
    assert down == {"pen", "cap"}
    follower.look()
    state.real.put_items([("new", True, {})])
    follower.look()
    assert follower.unavailable is down, "the same object while nothing changes"
    state.real.put_items([("pen", True, {}), ("ink", False, {})])
    follower.look()
    assert follower.unavailable == {"ink", "cap"}
    state.trouble = raises
    with pytest.raises(StorageError):
        follower.look()
    assert follower.unavailable == {"ink", "cap"}, "what was said last holds"


def test_takers_learn_of_all_that_came_before_them_and_of_each_change_once(tmp_path: Path) -> None:
    state = SqliteState(tmp_path / "state.db")
    follower = ItemFollower(OpenedWhenAsked(lambda: state), 60)
    early, late, short = Taker(), Taker(), Taker()
    follower.tell(early)
    state.put_items([("pen", True, {}), ("ink", False, {})])
    follower.look()
    follower.tell(late)
    follower.tell(short)
    assert early.told == [("pen", True), ("ink", False)]
    follower.look()
    assert late.told == early.told
    del short
    gc.collect()
    assert follower.takers == [early, late], "who is gone is forgotten"
    state.put_items([("pen", False, {})])
    follower.look()
    follower.look()
    assert early.told == late.told == [("pen", True), ("ink", False), ("pen", False)]


def test_a_taker_that_fails_keeps_nothing_from_the_others_and_is_told_again(tmp_path: Path) -> None:
    class Failing(Taker):
        broken = True

        def take(self, changes: Sequence[ItemChange]) -> None:
            if self.broken:
                raise RuntimeError("no memory")
            super().take(changes)

    state = SqliteState(tmp_path / "state.db")
    follower = ItemFollower(OpenedWhenAsked(lambda: state), 60)
    bad, good = Failing(), Taker()
    follower.tell(bad)
    follower.tell(good)
    state.put_items([("pen", False, {})])
    with pytest.raises(RuntimeError, match="no memory"):
        follower.look()
    assert follower.unavailable == {"pen"}
    assert good.told == [("pen", False)]
    state.put_items([("ink", True, {})])
    bad.broken = False
    follower.look()
    assert bad.told == good.told == [("pen", False), ("ink", True)]


def test_a_state_that_begins_anew_is_read_anew(tmp_path: Path) -> None:
    states = [SqliteState(tmp_path / "before.db"), SqliteState(tmp_path / "after.db")]
    taker = Taker()

    class Replaced:
        def items(self, after: int) -> list[ItemChange]:
            return states[0].items(after)

    follower = ItemFollower(OpenedWhenAsked(Replaced), 60)  # type: ignore[arg-type]
    follower.tell(taker)
    states[0].put_items([("pen", False, {}), ("ink", False, {}), ("cap", True, {})])
    follower.look()
    states[1].put_items([("nib", False, {}), ("ink", True, {})])
    states.pop(0)
    follower.look()
    assert follower.unavailable == {"pen", "nib"}, "what nobody put up again stays down"
    assert taker.told[-2:] == [("nib", False), ("ink", True)]


def test_the_first_look_is_waited_for(tmp_path: Path) -> None:
    state = SqliteState(tmp_path / "state.db")
    state.put_items([("pen", False, {})])
    looks: list[Exception | None] = []
    follower = ItemFollower(OpenedWhenAsked(lambda: state), 60, looks.append)
    follower.start(30)
    assert follower.unavailable == {"pen"}
    assert looks == [None]
    follower.stop()
