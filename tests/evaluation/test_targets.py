from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from slate.data.sequences import UserLog
from slate.data.vocabulary import IdMap
from slate.errors import DataError
from slate.evaluation.targets import Targets, select


def _table(rows):
    return pa.table(
        {
            "user_id": [r[0] for r in rows],
            "item_id": [r[1] for r in rows],
            "event": ["view"] * len(rows),
            "value": pa.array([None] * len(rows), pa.float64()),
            "weight": [1.0] * len(rows),
            "timestamp": pa.array(
                [datetime.fromtimestamp(r[2], UTC) for r in rows], pa.timestamp("us", "UTC")
            ),
        }
    )


def test_histories_end_strictly_before_the_target():
    items = IdMap.of(["x", "y", "z"])
    log = UserLog.from_table(
        _table([("u", "x", 1), ("u", "y", 5), ("u", "z", 5), ("w", "z", 9)]), items, ("view",)
    )
    targets = Targets.from_table(_table([("w", "z", 9), ("u", "z", 5), ("new", "x", 7)]), log, items)
    assert [h.items.tolist() for h in targets.histories] == [[], [0], []]
    assert targets.items.tolist() == [2, 2, 0]
    assert targets.times.tolist() == [9_000_000, 5_000_000, 7_000_000]
    assert targets.users.ids == ("new", "u", "w")
    assert targets.user_codes.tolist() == [2, 1, 0]
    assert targets.history_lengths.tolist() == [0, 1, 0]


def test_whole_histories_keep_what_ties_with_the_target():
    items = IdMap.of(["x", "y", "z"])
    log = UserLog.from_table(_table([("u", "x", 1), ("u", "y", 5)]), items, ("view",))
    target = _table([("u", "z", 5)])
    assert Targets.from_table(target, log, items).histories[0].items.tolist() == [0]
    assert Targets.from_table(target, log, items, whole_histories=True).histories[0].items.tolist() == [0, 1]


def test_an_item_outside_the_map_is_refused(user_log):
    with pytest.raises(DataError, match="item 'q' is not in the evaluation's item map"):
        Targets.from_table(_table([("u", "q", 1)]), user_log({}), IdMap.of(["x"]))


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(DataError, match="every column needs one row a target"):
        Targets(("u",), np.zeros(2, np.int32), np.zeros(1, np.int64), (), np.zeros(1, np.int64))


def test_repeats_are_left_out_and_counted(make_targets):
    targets = make_targets([("a", 3, [1, 3]), ("a", 2, [1, 3]), ("b", 1, []), ("c", 4, [4])])
    chosen = select(targets, max_targets=10, seed=1)
    assert chosen.targets.rows.tolist() == [1, 2]
    assert (chosen.found, chosen.found_users, chosen.repeats, chosen.unsampled) == (4, 3, 2, 0)


def test_sampling_keeps_whole_users_the_same_ones_each_time(make_targets):
    rows = [(f"u{u}", item, []) for u in range(40) for item in range(1 + u % 4)]
    targets = make_targets(rows)
    chosen = select(targets, max_targets=30, seed=3)
    kept = set(chosen.targets.user_ids)
    assert 26 <= len(chosen.targets) <= 30
    assert chosen.unsampled == len(rows) - len(chosen.targets)
    assert sorted(chosen.targets.user_ids) == sorted(u for u, _, _ in rows if u in kept)
    backwards = select(targets.take(np.arange(len(rows))[::-1]), max_targets=30, seed=3)
    assert set(backwards.targets.user_ids) == kept
    assert set(select(targets, max_targets=30, seed=4).targets.user_ids) != kept


def test_sampling_keeps_one_user_who_alone_is_too_many(make_targets):
    chosen = select(make_targets([("a", item, []) for item in range(5)]), max_targets=2, seed=1)
    assert (len(chosen.targets), chosen.unsampled) == (5, 0)


def test_nothing_but_repeats_leaves_nothing(make_targets):
    assert len(select(make_targets([("a", 1, [1])]), max_targets=5, seed=1).targets) == 0
