"""A state that hangs, raises or cannot be opened costs an answer its limit, and soon nothing at all."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from slate.feedback.state import Happened
from slate.recommend.live import lookups
from slate.recommend.live.lookups import FAILURES, Lookups
from slate.recommend.live.reader import LiveReader, OpenedWhenAsked
from tests.recommend.live.states import Breakable, Hangs, raises


class World:
    """Lookups over a state, and what was counted."""

    def __init__(self, path: Path, seconds: float = 5.0, slots: int = 2) -> None:
        self.state = Breakable(path / "state.db")
        self.state.real.remember({"ann": [Happened("e", "pen", "like", 1.0)]}, 9)
        self.failed: Counter[tuple[str, str]] = Counter()
        opened = OpenedWhenAsked(lambda: self.state)
        self.lookups = Lookups(opened, slots, seconds, lambda *why: self.failed.update([why]))

    def ask(self) -> list[str] | None:
        return self.lookups.ask("users", _items)

    def ask_soon(self, seconds: float = 9.0) -> list[str] | None:
        return asyncio.run(self.lookups.ask_soon("slate", _items, seconds))


def _items(state: LiveReader) -> list[str]:
    return [one.item_id for one in state.users(["ann"])["ann"].history]


@pytest.fixture
def hangs() -> Iterator[Hangs]:
    made = Hangs()
    yield made
    made.released.set()


def test_it_answers_either_way(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.ask() == ["pen"]
    assert world.ask_soon() == ["pen"]
    assert not world.failed


def test_what_hangs_is_not_waited_for_and_holds_few_threads(tmp_path: Path, hangs: Hangs) -> None:
    world = World(tmp_path, seconds=0.05)
    world.state.trouble = hangs
    assert [world.ask(), world.ask_soon(), world.ask(), world.ask_soon()] == [None] * 4
    assert world.failed == {
        ("users", "late"): 1,
        ("slate", "late"): 1,
        ("users", "busy"): 1,
        ("slate", "busy"): 1,
    }
    assert world.state.asked == 2
    world.state.trouble = lambda: None
    hangs.released.set()
    deadline = time.monotonic() + 20
    while world.ask() != ["pen"]:
        assert time.monotonic() < deadline, world.failed
        time.sleep(0.01)


def test_a_request_whose_time_is_up_waits_for_nothing(tmp_path: Path, hangs: Hangs) -> None:
    world = World(tmp_path, seconds=30)
    world.state.trouble = hangs
    assert world.ask_soon(-1.0) is None
    assert world.failed == {("slate", "late"): 1}


def test_after_failures_it_is_left_alone_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "PAUSE_SECONDS", 3600.0)
    world = World(tmp_path)
    world.state.trouble = raises
    for _ in range(FAILURES + 3):
        assert world.ask() is None
    assert world.state.asked == FAILURES
    assert world.failed == {("users", "failed"): FAILURES, ("users", "paused"): 3}
    world.state.trouble = lambda: None
    monkeypatch.setattr(world.lookups, "_resumes", 0.0)
    assert world.ask() == ["pen"], "one question shows that it is back"
    assert world.ask() == ["pen"], "and all others follow"


def test_one_question_alone_meets_a_state_that_is_still_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "PAUSE_SECONDS", 3600.0)
    world = World(tmp_path)
    world.state.trouble = raises
    for _ in range(FAILURES):
        world.ask()
    monkeypatch.setattr(world.lookups, "_resumes", 0.0)
    assert [world.ask() for _ in range(4)] == [None] * 4
    assert world.state.asked == FAILURES + 1


def test_nobody_follows_the_one_question_before_it_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "PAUSE_SECONDS", 3600.0)
    world = World(tmp_path)
    world.state.trouble = raises
    for _ in range(FAILURES):
        world.ask()
    monkeypatch.setattr(world.lookups, "_resumes", 0.0)
    during: list[object] = []
    world.state.trouble = lambda: during.append(world.ask())
    assert world.ask() == ["pen"]
    assert during == [None]
    assert world.failed[("users", "paused")] == 1


def test_a_state_that_cannot_be_opened_is_opened_later(tmp_path: Path) -> None:
    state = Breakable(tmp_path / "state.db")
    tries = []

    def opened() -> Breakable:
        tries.append(None)
        if len(tries) == 1:
            raises()
        return state

    lookups = Lookups(OpenedWhenAsked(opened), 2, 5.0)
    assert lookups.ask("users", lambda one: one.users(["ann"])) is None
    assert lookups.ask("users", lambda one: one.users(["ann"])) == {}
    assert lookups.ask("users", lambda one: one.users(["ann"])) == {}
    assert len(tries) == 2
