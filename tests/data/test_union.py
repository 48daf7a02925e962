"""A data set and the log's events as one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from slate.config import DatasetConfig, parse_section
from slate.data.ingest import Prepared
from slate.data.union import IN_DATASET, UNKNOWN_EVENT, Union, with_events

CONFIG = parse_section(
    DatasetConfig,
    {
        "interactions": {
            "path": "i.csv",
            "columns": {"event": "e", "value": "v"},
            "features": {"device": "categorical"},
        },
        "items": {"path": "m.csv", "features": {"price": "numeric"}},
        "events": {"view": {"weight": 2}, "watch": {"weight": 0.5, "weight_by": "value"}},
    },
)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
INSTANT = pa.timestamp("us", "UTC")


def prepared() -> Prepared:
    interactions = pa.table(
        {
            "user_id": ["u", "v"],
            "item_id": ["a", "b"],
            "event": ["view", "watch"],
            "value": pa.array([None, 10.0], pa.float64()),
            "weight": [2.0, 5.0],
            "timestamp": pa.array([NOON, NOON + timedelta(hours=4)], INSTANT),
            "device": ["tv", "phone"],
        }
    )
    items = pa.table({"item_id": ["a", "b"], "title": ["A", "B"], "price": [1.0, 2.0]})
    return Prepared(interactions, items, pa.table({"user_id": ["u", "v"]}))


def joined(*rows: dict[str, Any]) -> Union:
    """The data set with these events, over a view of ``a`` by ``u`` an hour after noon."""
    schema = pa.schema(
        [
            ("user_id", pa.string()), ("item_id", pa.string()), ("event", pa.string()),
            ("value", pa.float64()), ("timestamp", INSTANT), ("organic", pa.bool_()),
        ]
    )  # fmt: skip
    filled = {"user_id": "u", "item_id": "a", "event": "view", "value": None, "organic": True}
    whole = [{**filled, "timestamp": NOON + timedelta(hours=1), **row} for row in rows]
    return with_events(CONFIG, prepared(), pa.Table.from_pylist(whole, schema=schema))


def test_events_stand_among_the_interactions_by_time_with_their_weights() -> None:
    found = joined({}, {"event": "watch", "value": 7.0}, {"event": "watch", "item_id": "b"})
    rows = found.prepared.interactions.to_pylist()
    assert [(row["event"], row["item_id"], row["weight"]) for row in rows] == [
        ("view", "a", 2.0),
        ("view", "a", 2.0),
        ("watch", "a", 3.5),
        ("watch", "b", 0.0),
        ("watch", "b", 5.0),
    ]
    assert [row["device"] for row in rows] == ["tv", None, None, None, "phone"]
    assert [row["organic"] for row in rows] == [None, True, True, True, None]
    assert (found.added, found.dropped) == (3, {})


def test_what_the_data_set_does_not_describe_or_has_already_is_left_out_and_counted() -> None:
    found = joined({"event": "share"}, {"timestamp": NOON}, {"timestamp": NOON, "item_id": "b"}, {})
    assert (found.added, found.dropped) == (2, {UNKNOWN_EVENT: 1, IN_DATASET: 1})
    assert found.prepared.interactions.num_rows == 4


def test_items_and_users_of_the_log_alone_get_a_row_without_features() -> None:
    found = joined({"user_id": "new", "item_id": "aa"}, {"user_id": "new", "item_id": "c"})
    assert (found.new_items, found.new_users) == (2, 1)
    assert found.prepared.items["item_id"].to_pylist() == ["a", "aa", "b", "c"]
    assert found.prepared.items["price"].to_pylist() == [1.0, None, 2.0, None]
    assert found.prepared.users["user_id"].to_pylist() == ["new", "u", "v"]


def test_without_events_the_data_set_is_what_it_was() -> None:
    found = joined()
    assert found.prepared == prepared()
    assert found.added == 0
