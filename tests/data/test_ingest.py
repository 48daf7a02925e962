import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slate.config import DatasetConfig, parse_section
from slate.data.ingest import ingest, source_fingerprint
from slate.errors import DataError

CLICKS = """who;thing;did;secs;when;device
007;0042;view;;2026-03-29T01:59:59+01:00;phone
7;42;watch;12.5;2026-03-29T03:00:00+02:00;desk
7;0042;hide;;2026-03-28 10:00:00;
ann;42;ignored;;2026-03-28 11:00:00;desk
ann;é;watch;;2026-03-28 12:00:00;desk
"""
THINGS = "code;name;tags;price\n42;Lamp;home|light;9.5\n0042;;;cheap\n99;Rug;home;30\n"


def config(folder: Path, **changes: Any) -> DatasetConfig:
    raw: dict[str, Any] = {
        "name": "shop",
        "interactions": {
            "path": str(folder / "clicks.csv"),
            "separator": ";",
            "columns": {
                "user_id": "who", "item_id": "thing", "event": "did", "value": "secs", "timestamp": "when",
            },
            "features": {"device": "categorical"},
        },
        "items": {
            "path": str(folder / "things.csv"),
            "separator": ";",
            "columns": {"item_id": "code", "title": "name"},
            "features": {"tags": "categorical_list", "price": "numeric"},
        },
        "events": {
            "view": {"weight": 1},
            "watch": {"weight": 0.1, "weight_by": "value"},
            "hide": {"weight": -2},
        },
    }  # fmt: skip
    return parse_section(DatasetConfig, {**raw, **changes})


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "clicks.csv").write_text(CLICKS, encoding="utf-8")
    (tmp_path / "things.csv").write_text(THINGS, encoding="utf-8")
    return tmp_path


def run(described: DatasetConfig, folder: Path) -> tuple[dict[str, Any], dict[str, pa.Table]]:
    summary = ingest(described, folder / "out", folder / "cache")
    tables = {
        name: pq.read_table(folder / "out" / f"{name}.parquet") for name in ("interactions", "items", "users")
    }
    return summary, tables


def plain(folder: Path, text: str, **table: Any) -> DatasetConfig:
    (folder / "plain.csv").write_text(text, encoding="utf-8")
    raw = {"interactions": {"path": str(folder / "plain.csv"), **table}}
    return parse_section(DatasetConfig, raw)


def test_every_column_of_the_prepared_interactions(shop: Path) -> None:
    summary, tables = run(config(shop), shop)
    at = datetime(2026, 3, 28, tzinfo=UTC)
    assert tables["interactions"].to_pylist() == [
        {"user_id": "7", "item_id": "0042", "event": "hide", "value": None, "weight": -2.0,
         "timestamp": at.replace(hour=10), "device": None},
        {"user_id": "ann", "item_id": "é", "event": "watch", "value": None, "weight": 0.0,
         "timestamp": at.replace(hour=12), "device": "desk"},
        {"user_id": "007", "item_id": "0042", "event": "view", "value": None, "weight": 1.0,
         "timestamp": datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), "device": "phone"},
        {"user_id": "7", "item_id": "42", "event": "watch", "value": 12.5, "weight": 1.25,
         "timestamp": datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "device": "desk"},
    ]  # fmt: skip
    assert summary["rows"] == {"read": 5, "kept": 4, "dropped": {"no_event": 1}}
    assert summary["events"] == {"hide": 1, "view": 1, "watch": 2}
    assert (summary["users"], summary["items"]) == (3, 3)
    assert (summary["first"], summary["last"]) == (
        "2026-03-28T10:00:00.000000Z",
        "2026-03-29T01:00:00.000000Z",
    )
    assert json.loads((shop / "out/dataset.json").read_text()) == summary
    assert tables["interactions"].schema.field("timestamp").type == pa.timestamp("us", "UTC")


def test_items_are_those_listed_and_those_only_interactions_name(shop: Path) -> None:
    summary, tables = run(config(shop), shop)
    assert tables["items"].to_pylist() == [
        {"item_id": "0042", "title": None, "tags": None, "price": None},
        {"item_id": "42", "title": "Lamp", "tags": ["home", "light"], "price": 9.5},
        {"item_id": "99", "title": "Rug", "tags": ["home"], "price": 30.0},
        {"item_id": "é", "title": None, "tags": None, "price": None},
    ]
    assert summary["unlisted"] == {"items": 1, "users": 0}
    assert summary["unreadable"] == {"items.price": 1}
    assert tables["users"].to_pydict() == {"user_id": ["007", "7", "ann"]}


def test_the_bare_minimum_is_one_file_with_three_columns(tmp_path: Path) -> None:
    summary, tables = run(
        plain(tmp_path, "user_id,item_id,timestamp\n2,10,1700000001\n1,9,1700000000\n"), tmp_path
    )
    assert tables["interactions"]["user_id"].to_pylist() == ["1", "2"]
    assert tables["interactions"]["event"].to_pylist() == ["interaction"] * 2
    assert tables["interactions"]["weight"].to_pylist() == [1.0, 1.0]
    assert tables["items"].to_pylist() == [{"item_id": "10", "title": None}, {"item_id": "9", "title": None}]
    assert summary["rows"] == {"read": 2, "kept": 2, "dropped": {"no_event": 0}}


def test_parquet_keeps_integer_ids_and_native_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "user_id": pa.array([1, 2, None], pa.int64()),
            "item_id": pa.array([10.0, 11.0, None], pa.float64()),
            "timestamp": pa.array([5_000, 4_000, 6_000], pa.timestamp("ms")),
            "liked": [True, False, True],
        }
    )
    pq.write_table(table, tmp_path / "log.parquet")
    described = parse_section(
        DatasetConfig,
        {
            "interactions": {"path": str(tmp_path / "log.parquet")},
            "events": {
                "like": {"when": {"liked": {"equals": True}}},
                "pass": {"weight": -1, "when": {"liked": {"equals": False}}},
            },
        },
    )  # fmt: skip
    _, tables = run(described, tmp_path)
    assert tables["interactions"].select(["user_id", "item_id", "event"]).to_pylist() == [
        {"user_id": "2", "item_id": "11", "event": "pass"},
        {"user_id": "1", "item_id": "10", "event": "like"},
        {"user_id": None, "item_id": None, "event": "like"},
    ]
    assert tables["items"]["item_id"].to_pylist() == ["10", "11"]


def test_several_files_are_one_table_by_column_name(tmp_path: Path) -> None:
    (tmp_path / "day1.csv").write_text("user_id,item_id,timestamp\na,x,1\n")
    (tmp_path / "day2.csv").write_text("timestamp,user_id,item_id\n2,b,y\n")
    described = parse_section(DatasetConfig, {"interactions": {"path": str(tmp_path / "day*.csv")}})
    _, tables = run(described, tmp_path)
    assert tables["interactions"].select(["user_id", "item_id"]).to_pylist() == [
        {"user_id": "a", "item_id": "x"}, {"user_id": "b", "item_id": "y"},
    ]  # fmt: skip


def test_a_file_without_a_header_gets_its_names_from_the_configuration(tmp_path: Path) -> None:
    described = plain(
        tmp_path, "a\t1\tx\nb\t2\ty\n", separator="\t", header=["user_id", "timestamp", "item_id"]
    )
    summary, tables = run(described, tmp_path)
    assert summary["rows"]["read"] == 2
    assert tables["interactions"]["item_id"].to_pylist() == ["x", "y"]


def test_the_engine_guesses_nothing_about_text(tmp_path: Path) -> None:
    text = 'user_id,item_id,timestamp\n"a, b",#1,1\n1e5,true,2\n0x1F,2024-01-01,3\nnull,NaN,4\n'
    _, tables = run(plain(tmp_path, text), tmp_path)
    assert tables["interactions"]["user_id"].to_pylist() == ["a, b", "1e5", "0x1F", "null"]
    assert tables["interactions"]["item_id"].to_pylist() == ["#1", "true", "2024-01-01", "NaN"]


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("interactions", {"path": "click.csv"}, r"no file at .*; did you mean clicks\.csv"),
        ("interactions", {"columns": {"user_id": "woh"}},
         r"no column 'woh'; the file has who, .*\.columns\.user_id .*'who'"),
        ("interactions", {"separator": ","}, r"set dataset\.interactions\.columns\.user_id"),
        ("items", {"features": {"colour": "categorical"}}, r"set dataset\.items\.features\.colour\.column"),
        ("items", {"format": "parquet"}, r"dataset\.items\.path: .*cannot be read as parquet"),
        ("interactions", {"path": "s3://bucket/x.csv"}, "not a local file; copy or mount it"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_the_key_to_change(
    shop: Path, table: str, change: dict[str, Any], message: str
) -> None:
    described = config(shop).model_dump(mode="json", exclude_none=True)
    if "path" in change and "://" not in change["path"]:
        change = {"path": str(shop / change["path"])}
    if "columns" in change:
        change = {"columns": {**described[table]["columns"], **change["columns"]}}
    described[table] = {**described[table], **change}
    with pytest.raises(DataError, match=message):
        run(parse_section(DatasetConfig, described), shop)


def test_a_missing_timestamp_column_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column 'timestamp'.*columns\.timestamp"):
        run(plain(tmp_path, "user_id,item_id\na,x\n"), tmp_path)


def test_timestamps_in_an_unknown_form_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of the 1 values of column 'timestamp' is a timestamp"):
        run(plain(tmp_path, "user_id,item_id,timestamp\na,x,31/12/2024\n"), tmp_path)


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"plain\.csv has no rows"):
        run(plain(tmp_path, "user_id,item_id,timestamp\n"), tmp_path)


def test_a_torn_line_is_an_error_not_a_loss(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset\.interactions"):
        run(plain(tmp_path, "user_id,item_id,timestamp\na,x,1\nb,y\nc,z,3,4,5\n"), tmp_path)


def test_rows_of_two_events_are_an_error(shop: Path) -> None:
    events = {"any": {"when": {"who": {"one_of": ["7", "ann"]}}}, "long": {"when": {"secs": {"min": 10}}}}
    with pytest.raises(DataError, match="1 of 5 rows match more than one event, for example user '7'"):
        run(config(shop, events=events), shop)


def test_a_configuration_that_matches_no_row_is_an_error(shop: Path) -> None:
    with pytest.raises(DataError, match=r"none of the 5 rows matches an event \(buy\); check column 'did'"):
        run(config(shop, events={"buy": {}}), shop)


def test_the_order_of_events_in_the_configuration_changes_nothing(shop: Path) -> None:
    events = config(shop).model_dump(exclude_none=True)["events"]
    first, _ = run(config(shop), shop)
    second, _ = run(config(shop, events=dict(reversed(events.items()))), shop)
    assert first == second


def test_a_changed_raw_file_changes_the_source_fingerprint(shop: Path) -> None:
    before = source_fingerprint(config(shop), shop)
    assert before == source_fingerprint(config(shop), shop)
    (shop / "things.csv").write_text(THINGS.replace("9.5", "9.6"))
    assert before != source_fingerprint(config(shop), shop)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", ""]), st.sampled_from(["x", ""]),
            st.sampled_from(["view", "hide", "other", ""]), st.sampled_from(["1", "2024-01-01", "bad", ""]),
        ),
        min_size=1, max_size=12,
    )
)  # fmt: skip
def test_every_row_read_is_kept_or_counted(tmp_path: Path, rows: list[tuple[str, str, str, str]]) -> None:
    rows = [*rows, ("a", "x", "view", "1")]
    text = "user_id,item_id,did,timestamp\n" + "".join(",".join(row) + "\n" for row in rows)
    raw = plain(tmp_path, text, columns={"event": "did"}).model_dump(exclude_none=True)
    described = parse_section(DatasetConfig, {**raw, "events": {"view": {}, "hide": {"weight": -1}}})
    summary, tables = run(described, tmp_path)
    counted = summary["rows"]
    assert counted["read"] == len(rows)
    assert counted["read"] == counted["kept"] + sum(counted["dropped"].values())
    assert (
        counted["kept"] == tables["interactions"].num_rows == sum(row[2] in ("view", "hide") for row in rows)
    )
