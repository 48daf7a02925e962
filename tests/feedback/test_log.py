"""Reading the log of events, over both kinds of store."""

from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slate.errors import DataError
from slate.feedback.log import SCHEMA, _once, log_fingerprint, read_events
from slate.storage import open_store
from slate.storage.base import ObjectStore

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def batch(*rows: dict[str, Any]) -> pa.Table:
    """Rows over defaults: user u, item i, a view at noon, received a second later."""
    whole = []
    for row in rows:
        filled = {
            "user_id": "u",
            "item_id": "i",
            "event": "view",
            "value": None,
            "organic": False,
            "exposure_id": None,
        }
        filled |= {"timestamp": START, **row}
        whole.append({"received": filled["timestamp"] + timedelta(seconds=1), **filled})
    return pa.Table.from_pylist(whole, schema=SCHEMA)


def put(store: ObjectStore, key: str, table: pa.Table) -> None:
    sink = BytesIO()
    pq.write_table(table, sink)
    store.write_new(key, sink.getvalue())


def test_all_days_and_partitions_are_read_in_the_order_of_time(store_uri: str) -> None:
    store = open_store(store_uri)
    put(
        store,
        "events/date=2026-03-02/0-2-3.parquet",
        batch({"event_id": "c", "timestamp": START + timedelta(days=1), "value": 2.5}),
    )
    put(store, "events/date=2026-03-01/1-0-1.parquet", batch({"event_id": "b", "user_id": "v"}))
    put(store, "events/date=2026-03-01/0-0-1.parquet", batch({"event_id": "a"}))
    store.write_new("events/date=2026-03-01/notes.txt", b"not a batch")
    found = read_events(store)
    assert found["event_id"].to_pylist() == ["a", "b", "c"]
    assert found["value"].to_pylist() == [None, None, 2.5]
    assert found.schema == SCHEMA


def test_an_empty_log_has_no_rows_and_all_columns(tmp_path: Any) -> None:
    found = read_events(open_store(str(tmp_path)))
    assert found.num_rows == 0
    assert found.schema == SCHEMA


def test_one_user_s_event_counts_once_and_another_s_of_the_same_id_too(tmp_path: Any) -> None:
    store = open_store(str(tmp_path))
    late = START + timedelta(hours=2)
    again = {"event_id": "a", "value": 5.0, "received": late}
    put(store, "events/date=2026-03-01/0-0-2.parquet", batch({"event_id": "a"}, again))
    put(store, "events/date=2026-03-01/0-5-6.parquet", batch(again, {"event_id": "a", "user_id": "w"}))
    found = read_events(store).to_pylist()
    assert [(row["user_id"], row["value"]) for row in found] == [("u", None), ("w", None)]


@pytest.mark.parametrize(
    "other",
    [
        {"organic": True, "exposure_id": None},
        {"exposure_id": "x2"},
        {"item_id": "other"},
        {"event": "like"},
    ],
)
def test_an_event_id_that_somebody_guessed_takes_nothing_away(tmp_path: Any, other: dict[str, Any]) -> None:
    store = open_store(str(tmp_path))
    honest = {"event_id": "a", "exposure_id": "x1"}
    guessed = {**honest, **other, "received": START - timedelta(hours=1)}
    put(store, "events/date=2026-03-01/0-0-3.parquet", batch(guessed, honest, honest))
    names = ("organic", "exposure_id", "item_id", "event")
    found = [tuple(row[name] for name in names) for row in read_events(store).to_pylist()]
    assert len(found) == 2
    assert (False, "x1", "i", "view") in found


def test_only_what_is_later_is_read_and_days_before_are_not_even_opened(tmp_path: Any) -> None:
    store = open_store(str(tmp_path))
    store.write_new("events/date=2026-02-27/0-0-1.parquet", b"unreadable, and not read")
    rows = [{"event_id": str(hour), "timestamp": START + timedelta(hours=hour)} for hour in range(3)]
    put(store, "events/date=2026-03-01/0-0-3.parquet", batch(*rows))
    found = read_events(store, START)
    assert found["event_id"].to_pylist() == ["1", "2"], "the instant itself is not later"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (batch({"event_id": "a"}).drop_columns(["item_id"]), "has no column item_id"),
        (batch({"event_id": None}), "1 rows without event_id"),
        (batch({"event_id": "a"}).set_column(5, "timestamp", pa.array(["noon"])), "cannot be read"),
    ],
)
def test_a_broken_batch_is_named(tmp_path: Any, table: pa.Table, said: str) -> None:
    store = open_store(str(tmp_path))
    put(store, "events/date=2026-03-01/0-0-1.parquet", table)
    with pytest.raises(DataError, match=f"0-0-1.parquet: {said}.*replay this batch"):
        read_events(store)


def test_a_file_that_is_no_parquet_is_named(tmp_path: Any) -> None:
    store = open_store(str(tmp_path))
    store.write_new("events/date=2026-03-01/0-0-1.parquet", b"torn")
    with pytest.raises(DataError, match=r"0-0-1\.parquet: cannot be read"):
        read_events(store)


def test_the_fingerprint_changes_with_every_batch_and_only_then(tmp_path: Any) -> None:
    store = open_store(str(tmp_path))
    seen = {log_fingerprint(store)}
    for name in ("0-0-1", "0-1-2"):
        put(store, f"events/date=2026-03-01/{name}.parquet", batch({"event_id": name}))
        assert log_fingerprint(store) == log_fingerprint(store)
        seen.add(log_fingerprint(store))
    store.write_new("channels/other.json", b"{}")
    seen.add(log_fingerprint(store))
    assert len(seen) == 3


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("uv"),
            st.sampled_from("ab"),
            st.sampled_from([None, "x", "y"]),
            st.integers(0, 5),
            st.integers(0, 5),
        ),
        max_size=30,
    )
)
def test_each_event_is_left_once_with_what_was_received_first(
    rows: list[tuple[str, str, str | None, int, int]],
) -> None:
    table = batch(
        *(
            {
                "user_id": user,
                "event_id": event,
                "exposure_id": slate,
                "organic": slate is None,
                "timestamp": START + timedelta(seconds=at),
                "received": START + timedelta(seconds=received),
            }
            for user, event, slate, at, received in rows
        )
    )
    left = _once(table).to_pylist()
    first: dict[tuple[str, str, str | None], datetime] = {}
    for user, event, slate, _, received in rows:
        instant = START + timedelta(seconds=received)
        first[user, event, slate] = min(first.get((user, event, slate), instant), instant)
    names = ("user_id", "event_id", "exposure_id")
    assert {tuple(row[name] for name in names): row["received"] for row in left} == first
    assert len(left) == len(first)
    order = [(row["timestamp"], row["user_id"], row["event_id"]) for row in left]
    assert order == sorted(order)
