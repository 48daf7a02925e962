"""A released history and what happened since are one history, in order, each interaction once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.data.sequences import History
from slate.data.vocabulary import IdMap
from slate.feedback.state import Happened
from slate.recommend.live.overlay import overlaid

IDS = IdMap(("pen", "ink", "cap", "nib"))
EVENTS = {"like": 1, "hide": 2}
Past = list[tuple[str, str, int]]


def released(past: Past) -> History:
    rows = [(IDS.rows([item])[0], EVENTS[event], at) for item, event, at in past]
    items, events, times = zip(*rows, strict=True) if rows else ((), (), ())
    return History(np.asarray(items, np.int32), np.asarray(events, np.int16), np.asarray(times, np.int64))


def since(past: Past) -> list[Happened]:
    return [Happened(f"e-{place}", item, event, at / 1e6) for place, (item, event, at) in enumerate(past)]


def told(history: History) -> Past:
    names = {code: name for name, code in EVENTS.items()}
    return [
        (IDS.ids[item], names[event], at)
        for item, event, at in zip(*(each.tolist() for each in history), strict=True)
    ]


def test_what_happened_since_comes_in_order_of_time_and_what_is_known_counts_once() -> None:
    now = 1_763_740_800_123_457  # A microsecond of 2025: seconds as a float keep it.
    before = [("pen", "like", now - 9), ("ink", "like", now), ("cap", "hide", now + 5)]
    live = [("nib", "like", now + 2), ("ink", "like", now), ("ink", "hide", now), ("pen", "like", now + 7)]
    history, ignored = overlaid(released(before), since(live), IDS, EVENTS)
    assert told(history) == [
        ("pen", "like", now - 9),
        ("ink", "like", now),
        ("ink", "hide", now),
        ("nib", "like", now + 2),
        ("cap", "hide", now + 5),
        ("pen", "like", now + 7),
    ]
    assert ignored == []
    assert [each.dtype for each in history] == [np.int32, np.int16, np.int64]


def test_what_the_release_does_not_know_is_left_out_and_named() -> None:
    live = [("new", "like", 3), ("pen", "share", 4), ("ink", "like", 5)]
    history, ignored = overlaid(released([("cap", "like", 1)]), since(live), IDS, EVENTS)
    assert told(history) == [("cap", "like", 1), ("ink", "like", 5)]
    assert ignored == ["new", "share"]


@pytest.mark.parametrize("past", [[], [("pen", "like", 1)]])
def test_nothing_new_changes_nothing(past: Past) -> None:
    before = released(past)
    assert overlaid(before, [], IDS, EVENTS).history is before
    assert overlaid(before, since(past), IDS, EVENTS).history is before


ENTRY = st.tuples(st.sampled_from(IDS.ids), st.sampled_from(list(EVENTS)), st.integers(10, 30))


@given(before=st.lists(ENTRY, max_size=8), live=st.lists(ENTRY, max_size=8, unique=True))
def test_it_is_the_union_sorted_by_time(before: Past, live: Past) -> None:
    before.sort(key=lambda one: one[2])
    history, _ = overlaid(released(before), since(live), IDS, EVENTS)
    assert sorted(told(history)) == sorted(before + [one for one in live if one not in before])
    assert (np.diff(history.times) >= 0).all()
