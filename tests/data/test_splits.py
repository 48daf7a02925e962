import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slate.config import DatasetConfig, SplitConfig, parse_section
from slate.data.holdout import Split
from slate.data.ingest import Prepared, Rows, write
from slate.data.splits import split, temporal_parts
from slate.errors import DataError
from slate.hashing import bucket

CONFIG = parse_section(
    DatasetConfig,
    {
        "interactions": {"path": "i.csv", "columns": {"event": "e"}, "features": {"device": "categorical"}},
        "items": {"path": "m.csv", "features": {"price": "numeric"}},
        "users": {"path": "u.csv", "features": {"city": "categorical", "age": "sensitive"}},
        "events": {"view": {}, "hide": {"weight": -1}, "buy": {"weight": 3}},
    },
)
Row = tuple[str, str, str, int]


def interactions(rows: list[Row]) -> pa.Table:
    rows = sorted(rows, key=lambda row: (row[3], row[0], row[1]))
    users, items, events, times = zip(*rows, strict=True)
    return pa.table(
        {
            "user_id": users,
            "item_id": items,
            "event": events,
            "value": pa.nulls(len(rows), pa.float64()),
            "weight": [CONFIG.events[event].weight for event in events],
            "timestamp": pa.array(times, pa.int64()).cast(pa.timestamp("us", "UTC")),
            "device": [f"device-{user}" for user in users],
        }
    )


def dataset(folder: Path, rows: list[Row]) -> Path:
    table = interactions(rows)
    items = sorted({row[1] for row in rows} | {"never"}, reverse=True)
    users = sorted({row[0] for row in rows})
    prepared = Prepared(
        table,
        pa.table(
            {
                "item_id": items,
                "title": pa.nulls(len(items), pa.string()),
                "price": pa.array([float(len(item)) for item in items]),
            }
        ),
        pa.table({"user_id": users, "city": [f"city-{u}" for u in users], "age": [30.0] * len(users)}),
    )
    write(prepared, "d", Rows(len(rows), len(rows), {}), {}, folder)
    return folder


def cut(folder: Path, rows: list[Row], **config: Any) -> Split:
    settings = parse_section(SplitConfig, {"unseen_users": 0, **config})
    split(CONFIG, settings, dataset(folder / "data", rows), folder / "splits")
    return Split.open(folder / "splits")


def times(table: pa.Table) -> list[int]:
    return table["timestamp"].cast(pa.int64()).to_pylist()


#: Ten interactions; at 0.2 and 0.2 the cuts are after instants 60 and 80.
TEN: list[Row] = [
    ("u1", "a", "view", 10), ("u2", "b", "view", 20), ("u1", "c", "buy", 30), ("u3", "a", "view", 40),
    ("u2", "a", "hide", 50), ("u1", "d", "view", 60), ("u4", "e", "buy", 70), ("u2", "c", "view", 80),
    ("u1", "e", "hide", 90), ("u3", "f", "buy", 100),
]  # fmt: skip
FIFTHS = {"valid_fraction": 0.2, "test_fraction": 0.2}


def test_parts_follow_each_other_in_time(tmp_path: Path) -> None:
    made = cut(tmp_path, TEN, **FIFTHS)
    assert times(made.part("train")) == [10, 20, 30, 40, 50, 60]
    assert times(made.part("valid")) == [70, 80]
    assert times(made.part("test")) == [90, 100]
    record = made.record
    assert record["rows"] == {"train": 6, "valid": 2, "test": 2, "unseen_users": 0}
    assert record["train_end"] == "1970-01-01T00:00:00.000060Z"
    assert record["valid_end"] == "1970-01-01T00:00:00.000080Z"
    assert record["watermark"] == "1970-01-01T00:00:00.000100Z"
    assert record["train_end"] < record["valid_end"] < record["watermark"]


def test_the_catalogue_is_every_item_in_order_of_id_with_its_training_count(tmp_path: Path) -> None:
    made = cut(tmp_path, TEN, **FIFTHS)
    assert made.catalogue.ids.ids == ("a", "b", "c", "d", "e", "f", "never")
    assert made.catalogue.train_counts.tolist() == [3, 1, 1, 1, 0, 0, 0]


def test_encoders_have_seen_training_users_only_and_sensitive_features_never(tmp_path: Path) -> None:
    made = cut(tmp_path, TEN, **FIFTHS)
    assert made.features.events == ("buy", "hide", "view")
    (city,), (device,), (price,) = made.features.users, made.features.context, made.features.items
    assert city.vocabulary == ("city-u1", "city-u2", "city-u3")
    assert device.vocabulary == ("device-u1", "device-u2", "device-u3")
    assert price.mean == pytest.approx((6 * 1 + 5) / 7)


@pytest.mark.parametrize(
    ("instants", "train", "valid", "test"),
    [
        # Everything of one instant stays together; the nearest cut is taken.
        ([1, 1, 1, 1, 1, 1, 2, 2, 2, 3], 6, 3, 1),
        ([1] * 9 + [2, 3], 9, 1, 1),
        ([1, 2] + [3] * 9, 1, 1, 9),
        ([5, 4, 6], 1, 1, 1),
    ],
)
def test_rows_of_one_instant_are_never_parted(instants: list[int], train: int, valid: int, test: int) -> None:
    parts = temporal_parts(np.array(instants), SplitConfig())
    assert [int(mask.sum()) for mask in parts] == [train, valid, test]
    for instant in set(instants):
        assert sum(bool((mask & (np.array(instants) == instant)).any()) for mask in parts) == 1


def test_fewer_than_three_instants_cannot_be_cut(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"3 interactions at 2 distinct instants.*bring more data"):
        cut(tmp_path, [("a", "x", "view", 1), ("b", "x", "view", 1), ("a", "y", "view", 2)])


def test_a_planted_future_row_changes_nothing_that_came_before(tmp_path: Path) -> None:
    honest = cut(tmp_path / "1", TEN, **FIFTHS)
    planted = [*TEN[:-1], ("u9", "zz", "buy", 100)]
    other = cut(tmp_path / "2", planted, **FIFTHS)
    for part in ("train", "valid"):
        assert honest.part(part).equals(other.part(part))  # type: ignore[arg-type]
    assert honest.features.users == other.features.users
    assert honest.features.context == other.features.context
    assert honest.features.events == other.features.events
    counts = [
        dict(zip(m.catalogue.ids.ids, m.catalogue.train_counts.tolist(), strict=True))
        for m in (honest, other)
    ]
    assert {item: n for item, n in counts[0].items() if n} == {item: n for item, n in counts[1].items() if n}
    for user in ("u1", "u2", "u3", "u4"):
        for instant in (60, 100):
            ours, theirs = (m.user_log().history_of(user, before=instant) for m in (honest, other))
            assert ours.times.tolist() == theirs.times.tolist()
            assert honest.catalogue.ids.to_ids(ours.items) == other.catalogue.ids.to_ids(theirs.items)


def test_users_of_the_unseen_share_are_never_trained_on_but_keep_their_history(tmp_path: Path) -> None:
    # The buckets of u1 to u4 are 6917, 4039, 5040 and 2973.
    assert [bucket("holdout", user) < 4500 for user in ("u1", "u2", "u3", "u4")] == [False, True, False, True]
    made = cut(tmp_path, TEN, **FIFTHS, unseen_users=0.45)
    assert times(made.part("train")) == [10, 30, 40, 60]
    assert made.record["rows"] == {"train": 4, "valid": 0, "test": 2, "unseen_users": 4}
    assert made.user_log().history_of("u2", before=80).times.tolist() == [20, 50]
    assert made.part("valid").num_rows == 0, "the ranker and early stopping learn from validation"
    assert sorted(times(table) for table in made.unseen()) == [[20, 50, 70, 80]]
    assert made.features.users[0].vocabulary == ("city-u1", "city-u3")
    assert made.catalogue.train_counts.tolist() == [2, 0, 1, 1, 0, 0, 0]


def test_a_second_cut_into_the_same_folder_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    cut(tmp_path, TEN, **FIFTHS, unseen_users=0.45)
    again = cut(tmp_path, TEN, **FIFTHS)
    assert again.everything().num_rows == len(TEN)


LAST_OUT: list[Row] = [
    ("u1", "a", "view", 1), ("u1", "b", "view", 2), ("u1", "c", "view", 3),
    # Ties in time: by item, then by event.
    ("u2", "d", "view", 5), ("u2", "b", "view", 5), ("u2", "b", "buy", 5), ("u2", "a", "view", 5),
    ("u3", "a", "view", 9), ("u3", "b", "view", 8),
]  # fmt: skip


def test_leave_last_out_takes_exactly_each_user_s_last_two(tmp_path: Path) -> None:
    made = cut(tmp_path, LAST_OUT, protocol="leave_last_out", unseen_users=0.4)

    def rows(part: Any) -> list[tuple[str, str, str]]:
        table = made.part(part)
        return sorted(zip(*(table[c].to_pylist() for c in ("user_id", "item_id", "event")), strict=True))

    assert rows("test") == [("u1", "c", "view"), ("u2", "d", "view")]
    assert rows("valid") == [("u1", "b", "view"), ("u2", "b", "view")]
    # u3 has too few to lose any; nobody is kept out of training under this protocol.
    assert rows("train") == [
        ("u1", "a", "view"), ("u2", "a", "view"), ("u2", "b", "buy"),
        ("u3", "a", "view"), ("u3", "b", "view"),
    ]  # fmt: skip
    assert made.record["rows"] == {"train": 5, "valid": 2, "test": 2, "unseen_users": 0}


def test_leave_last_out_histories_hold_what_came_before_also_within_a_tie(tmp_path: Path) -> None:
    made = cut(tmp_path, LAST_OUT, protocol="leave_last_out")
    catalogue = made.catalogue.ids
    assert catalogue.to_ids(made.history_log("valid").history_of("u2").items) == ["a", "b"]
    assert catalogue.to_ids(made.history_log("test").history_of("u2").items) == ["a", "b", "b"]
    assert len(made.history_log("train")) == 0


def test_leave_last_out_needs_a_user_with_three_interactions(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no user has three interactions.*split\.protocol=temporal"):
        cut(
            tmp_path,
            [("a", "x", "view", 1), ("a", "y", "view", 2), ("b", "x", "view", 3)],
            protocol="leave_last_out",
        )


def test_targets_are_those_of_the_wanted_events_by_user_and_time(tmp_path: Path) -> None:
    made = cut(tmp_path, TEN, **FIFTHS)
    targets = made.targets("test", [name for name, event in CONFIG.events.items() if event.is_target])
    assert targets.select(["user_id", "item_id"]).to_pylist() == [{"user_id": "u3", "item_id": "f"}]
    everything = made.targets("test", ["buy", "hide", "view"])
    assert everything["user_id"].to_pylist() == ["u1", "u3"]


def test_training_logs_end_where_training_ends(tmp_path: Path) -> None:
    made = cut(tmp_path, TEN, **FIFTHS)
    assert max(made.train_log().times) == 60
    assert len(made.user_log()) == len(TEN)


def test_the_fingerprint_knows_the_data_and_the_cut(tmp_path: Path) -> None:
    first = cut(tmp_path / "1", TEN, **FIFTHS).fingerprint
    assert first == cut(tmp_path / "2", TEN, **FIFTHS).fingerprint
    assert first != cut(tmp_path / "3", TEN).fingerprint
    assert first != cut(tmp_path / "4", [*TEN[:-1], ("u3", "a", "buy", 100)], **FIFTHS).fingerprint


def test_a_folder_without_a_split_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run the split step first"):
        Split.open(tmp_path)


def test_users_and_their_features_travel_along(tmp_path: Path) -> None:
    made = cut(tmp_path, TEN, **FIFTHS)
    assert made.user_features["u4"] == {"city": "city-u4", "age": 30.0}
    assert json.loads((made.directory / "split.json").read_text())["protocol"] == made.protocol == "temporal"
    assert pq.read_table(made.directory / "users.parquet").num_rows == 4
