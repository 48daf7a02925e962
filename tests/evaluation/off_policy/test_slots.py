"""Slots from the log, worked by hand, and logs that tell nothing."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slate.errors import DataError
from slate.evaluation.off_policy.slots import OTHERS, PROPENSITY, REWARD, read_slots
from slate.storage import LocalStore
from tests.evaluation.off_policy.logs import EVENTS, NOW, START, WINDOW, did, item, shown, written

EXPOSURES = [
    shown(1, [item("a", score=0.9), item("b", score=0.7, position=2), item("x", 0.9, 0.2, 3)]),
    shown(1, [item("a", score=0.9), item("b", score=0.7, position=2), item("x", 0.9, 0.2, 3)]),  # Twice.
    shown(2, [item("a"), item("y", 0.1, None, 2)]),
    shown(3, [item("a"), item("b", position=2)]),  # Nothing drawn.
    shown(4, [item("a"), item("x", 0.9)], timestamp=NOW - timedelta(hours=1)),  # Outcomes may still come.
    shown(5, []),
    shown(6, [item("z", 0.5, float("nan"))], user_id="u1"),
]
OUTCOMES = [
    did(1, "x"),
    did(1, "x"),  # Written again.
    did(1, "a", "hide"),
    did(1, "x", "dance"),  # No event of ours.
    did(2, "y", "hide"),
    did(3, "b"),
]


def test_slots_by_hand(tmp_path: Path) -> None:
    found = read_slots(written(tmp_path, EXPOSURES, OUTCOMES), EVENTS, NOW, WINDOW)
    assert found.table["item_id"].to_pylist() == ["x", "y", "z"]
    assert found.numbers(PROPENSITY).tolist() == [0.9, 0.1, 0.5]
    assert found.numbers(REWARD).tolist() == [1.0, -2.0, 0.0]
    assert found.numbers(OTHERS) == pytest.approx([0.8, 0.5, 0.0])
    assert found.slates == [["a", "b", "x"], ["a", "y"], ["z"]]
    assert (found.certain, found.young) == (2, 1)
    assert found.users[0] == found.users[2] != found.users[1]
    kept = found.kept(np.array([False, True, True]))
    assert (kept.slates, kept.table["item_id"].to_pylist()) == ([["a", "y"], ["z"]], ["y", "z"])


def test_all_that_came_of_a_slate_may_be_the_reward(tmp_path: Path) -> None:
    store = written(tmp_path, EXPOSURES, OUTCOMES)
    found = read_slots(store, EVENTS, NOW, WINDOW, whole_slate=True)
    assert found.numbers(REWARD).tolist() == [-1.0, -2.0, 0.0]


@pytest.mark.parametrize(
    ("exposures", "problem"),
    [
        ([shown(1, [item("a"), item("b")])], "all propensities of 1 slates are 1"),
        ([shown(1, [item("a"), item("b", None)])], "1 of 2 items shown are missing"),
        ([shown(1, [item("a", 0.0)])], "no probabilities, such as 0"),
        ([shown(1, [item("a", 1.5)])], "no probabilities, such as 1.5"),
        ([shown(1, [item("a", float("nan"))])], "no probabilities"),
        ([shown(1, [item("a", 0.5), item("b", 0.5)])], "more than one position"),
        ([shown(1, [])], "all propensities"),
        ([shown(1, [item("a", 0.5)], timestamp=NOW)], "older than 1 day"),
    ],
)  # fmt: skip
def test_what_tells_nothing_is_refused(tmp_path: Path, exposures: list[Any], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        read_slots(written(tmp_path, exposures, []), EVENTS, NOW, WINDOW)


def test_an_empty_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no exposures"):
        read_slots(LocalStore(tmp_path), EVENTS, NOW, WINDOW)


def test_days_before_the_first_one_asked_for_do_not_count(tmp_path: Path) -> None:
    store = written(tmp_path, EXPOSURES, OUTCOMES)
    with pytest.raises(DataError, match="none of 0 slates"):
        read_slots(store, EVENTS, NOW, WINDOW, since=START.date() + timedelta(days=1))
