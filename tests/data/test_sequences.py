from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from slate.data.sequences import UserLog, chronological
from slate.data.vocabulary import IdMap

ITEMS = IdMap.of(["book", "cup", "lamp"])
EVENTS = ("buy", "view")
INSTANT = pa.timestamp("us", "UTC")


def table(rows: list[tuple[str, str, str, float | None, float, int]], **context: list[object]) -> pa.Table:
    users, items, events, values, weights, times = zip(*rows, strict=True) if rows else ([],) * 6
    return pa.table(
        {
            "user_id": pa.array(users, pa.string()),
            "item_id": pa.array(items, pa.string()),
            "event": pa.array(events, pa.string()),
            "value": pa.array(values, pa.float64()),
            "weight": pa.array(weights, pa.float64()),
            "timestamp": pa.array(times, pa.int64()).cast(INSTANT),
            **context,
        }
    )


ROWS = [
    ("u2", "lamp", "view", None, 1.0, 300),
    ("u1", "cup", "view", 2.5, 1.0, 200),
    ("u2", "book", "buy", 9.0, 3.0, 100),
    ("u2", "book", "view", None, 1.0, 300),
    ("u2", "vase", "view", None, 1.0, 150),
    ("u2", "book", "buy", None, 3.0, 300),
]


def test_entries_lie_by_user_then_time_then_item_then_event() -> None:
    log = UserLog.from_table(table(ROWS, device=["a", "b", "c", "d", "e", "f"]), ITEMS, EVENTS)
    assert log.users.ids == ("u1", "u2")
    assert log.offsets.tolist() == [0, 1, 5]
    # 'vase' is in no catalogue, so its row is left out.
    assert log.items.tolist() == [1, 0, 0, 0, 2]
    assert log.events.tolist() == [2, 1, 1, 2, 2]
    assert log.times.tolist() == [200, 100, 300, 300, 300]
    assert log.weights.tolist() == [1.0, 3.0, 3.0, 1.0, 1.0]
    np.testing.assert_array_equal(log.values, np.array([2.5, 9.0, np.nan, np.nan, np.nan], np.float32))
    assert log.context == {"device": ["b", "c", "f", "d", "a"]}
    assert len(log) == 5


def test_the_order_of_the_file_does_not_matter() -> None:
    forward, backward = (UserLog.from_table(table(rows), ITEMS, EVENTS) for rows in (ROWS, ROWS[::-1]))
    assert forward.items.tolist() == backward.items.tolist()
    assert forward.events.tolist() == backward.events.tolist()


@pytest.mark.parametrize(("before", "expected"), [(100, []), (101, [0]), (300, [0]), (301, [0, 0, 0, 2])])
def test_a_history_holds_only_what_came_strictly_before(before: int, expected: list[int]) -> None:
    log = UserLog.from_table(table(ROWS), ITEMS, EVENTS)
    assert log.history_of("u2", before=before).items.tolist() == expected


def test_a_planted_later_row_changes_no_earlier_history() -> None:
    planted = [*ROWS, ("u2", "lamp", "buy", 1.0, 3.0, 300), ("u3", "cup", "buy", 1.0, 3.0, 400)]
    before, after = (UserLog.from_table(table(rows), ITEMS, EVENTS) for rows in (ROWS, planted))
    for user in ("u1", "u2"):
        for part_before, part_after in zip(
            before.history_of(user, before=300), after.history_of(user, before=300), strict=True
        ):
            np.testing.assert_array_equal(part_before, part_after)


def test_last_takes_the_most_recent() -> None:
    log = UserLog.from_table(table(ROWS), ITEMS, EVENTS)
    history = log.history_of("u2")
    assert history.last(2).items.tolist() == [0, 2]
    assert history.last(2).events.tolist() == [2, 2]
    assert history.last(99).times.tolist() == [100, 300, 300, 300]


def test_an_unknown_user_has_an_empty_history() -> None:
    log = UserLog.from_table(table(ROWS), ITEMS, EVENTS)
    history = log.history_of("nobody", before=10)
    assert [len(part) for part in history] == [0, 0, 0]


def test_no_rows_make_an_empty_log() -> None:
    log = UserLog.from_table(table([]), ITEMS, EVENTS)
    assert len(log) == 0
    assert len(log.users) == 0
    assert log.offsets.tolist() == [0]


def test_times_are_microseconds_whatever_the_column_s_unit() -> None:
    instant = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    seconds = table([("u", "cup", "view", None, 1.0, 0)]).set_column(
        5, "timestamp", pa.array([instant], pa.timestamp("s", "UTC"))
    )
    assert UserLog.from_table(seconds, ITEMS, EVENTS).times.tolist() == [1_774_747_800_000_000]


def test_ties_in_time_are_broken_by_item_number_then_text_then_event() -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [("u", "x", "b"), ("u", "10", "a"), ("u", "9", "b"), ("u", "9", "a"), ("u", "010", "a")]
    tied = pa.table(
        {
            "user_id": [r[0] for r in rows],
            "item_id": [r[1] for r in rows],
            "event": [r[2] for r in rows],
            "weight": [1.0] * len(rows),
            "timestamp": pa.array([moment] * len(rows), pa.timestamp("us", "UTC")),
        }
    )
    order = chronological(tied).to_pylist()
    assert [rows[i][1:] for i in order] == [("9", "a"), ("9", "b"), ("010", "a"), ("10", "a"), ("x", "b")]
    backwards = tied.take(list(reversed(range(len(rows)))))
    ids = IdMap.of(["x", "9", "10", "010"])
    one, other = (UserLog.from_table(t, ids, ("a", "b")) for t in (tied, backwards))
    assert one.items.tolist() == other.items.tolist() == [1, 1, 3, 2, 0]
