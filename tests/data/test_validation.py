import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slate.clock import ManualClock
from slate.config import DatasetConfig, parse_section
from slate.data.checks import FACT_CHECKS, ROW_CHECKS, TABLE_CHECKS, Facts
from slate.data.ingest import Prepared, Rows, write
from slate.data.validation import Validation, examine, validate
from slate.errors import ConfigError, DataError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000
T0 = 20_000 * DAY
NAN, INF = float("nan"), float("inf")
Row = tuple[str | None, str | None, float | None, int | None]
GOOD: list[Row] = [("a", "x", 1.0, T0), ("b", "y", None, T0 + 1), ("a", "y", 2.0, T0 + 2)]


def config(**validation: str) -> DatasetConfig:
    return parse_section(
        DatasetConfig,
        {
            "name": "d",
            "interactions": {"path": "i.csv"},
            "items": {"path": "m.csv", "features": {"price": "numeric", "tags": "categorical_list"}},
            "validation": validation,
        },
    )


def interactions(rows: list[Row]) -> pa.Table:
    users, items, values, times = zip(*rows, strict=True) if rows else ([],) * 4
    return pa.table(
        {
            "user_id": pa.array(users, pa.string()),
            "item_id": pa.array(items, pa.string()),
            "event": pa.array(["interaction"] * len(rows), pa.string()),
            "value": pa.array(values, pa.float64()),
            "weight": pa.array([1.0] * len(rows), pa.float64()),
            "timestamp": pa.array(times, pa.int64()).cast(pa.timestamp("us", "UTC")),
        }
    )


def items(ids: list[str | None], prices: list[float | None]) -> pa.Table:
    return pa.table(
        {
            "item_id": pa.array(ids, pa.string()),
            "title": pa.nulls(len(ids), pa.string()),
            "price": pa.array(prices, pa.float64()),
            "tags": pa.nulls(len(ids), pa.list_(pa.string())),
        }
    )


ITEMS = items(["x", "y"], [1.0, None])
USERS = pa.table({"user_id": ["a", "b"]})
RECORD: dict[str, Any] = {"rows": {"read": 3, "kept": 3, "dropped": {"no_event": 0}}}


def look(
    rows: list[Row],
    described: DatasetConfig | None = None,
    record: Mapping[str, Any] = RECORD,
    **tables: pa.Table,
) -> Validation:
    everything = {"interactions": interactions(rows), "items": ITEMS, "users": USERS, **tables}
    return examine(everything, Facts(described or config(), NOW, record))  # type: ignore[arg-type]


def found(result: Validation) -> dict[str, int]:
    return {finding.name: finding.count for finding in result.findings}


def test_good_data_has_no_findings_and_stays_as_it_is() -> None:
    result = look(GOOD)
    assert result.findings == ()
    assert result.prepared.interactions.equals(interactions(GOOD))
    assert len(result.checked) == 1 + len(ROW_CHECKS) + len(FACT_CHECKS) + len(TABLE_CHECKS)


@pytest.mark.parametrize(
    ("bad", "name", "severity"),
    [
        ((None, "x", None, T0), "null_user_id", "error"),
        (("  ", "x", None, T0), "empty_user_id", "error"),
        (("a", None, None, T0), "null_item_id", "error"),
        (("a", "", None, T0), "empty_item_id", "error"),
        (("a", "x", None, None), "null_timestamp", "error"),
        (("a", "x", None, 364 * DAY), "early_timestamp", "error"),
        (("a", "x", None, -1), "early_timestamp", "error"),
        (("a", "x", None, 1_767_225_600_000_001), "future_timestamp", "error"),
        (("a", "x", NAN, T0 + 9), "non_finite_value", "warning"),
        (("a", "x", -INF, T0 + 9), "non_finite_value", "warning"),
        (("a", "x", 7.0, T0), "duplicate_interaction", "warning"),
    ],
)
def test_a_bad_row_is_found_by_one_check_and_dropped(bad: Row, name: str, severity: str) -> None:
    result = look([*GOOD, bad])
    assert found(result) == {name: 1}
    assert result.findings[0].severity == severity
    assert result.findings[0].effect == "dropped"
    assert result.findings[0].samples[0]["user_id"] == bad[0]
    assert result.rows["interactions"] == Rows(4, 3, {name: 1})
    assert result.prepared.interactions.equals(interactions(GOOD))


def test_the_present_and_the_first_allowed_instant_pass() -> None:
    assert look([*GOOD, ("a", "x", None, 365 * DAY), ("a", "x", None, 1_767_225_600_000_000)]).findings == ()


def test_a_row_that_is_wrong_twice_is_counted_once() -> None:
    result = look([*GOOD, (None, None, NAN, None), ("a", "x", NAN, T0), ("a", "x", 3.0, T0)])
    assert result.rows["interactions"].dropped == {
        "null_user_id": 1, "non_finite_value": 1, "duplicate_interaction": 1,
    }  # fmt: skip
    assert result.rows["interactions"].kept == 3


def test_at_most_five_samples_are_shown_of_many_rows() -> None:
    result = look([*GOOD, *[(None, "x", None, T0 + n) for n in range(20)]])
    assert found(result) == {"null_user_id": 20}
    assert len(result.findings[0].samples) == 5


def test_items_described_twice_or_without_an_id_leave_one_row_each() -> None:
    result = look(GOOD, items=items(["x", "x", None, "y"], [1.0, 2.0, 3.0, INF]))
    assert found(result) == {"null_item": 1, "duplicate_item": 1, "non_finite_item_feature": 1}
    assert result.prepared.items["item_id"].to_pylist() == ["x", "y"]
    assert result.prepared.items["price"].to_pylist() == [1.0, INF]
    assert result.errors == ()


def test_users_described_twice_leave_one_row() -> None:
    result = look(GOOD, users=pa.table({"user_id": pa.array(["a", "b", "b", ""], pa.string())}))
    assert found(result) == {"null_user": 1, "duplicate_user": 1}
    assert result.prepared.users["user_id"].to_pylist() == ["a", "b"]


def test_one_user_one_item_or_nothing_at_all_is_refused() -> None:
    assert [f.name for f in look([GOOD[0]]).errors] == ["single_user", "single_item"]
    assert [f.name for f in look([]).errors] == ["no_interactions"]


def test_what_ingest_noticed_is_reported() -> None:
    record = {
        "rows": {"read": 9, "kept": 3, "dropped": {"no_event": 6}},
        "unreadable": {"items.price": 4, "interactions.value": 1},
        "unlisted": {"items": 2, "users": 0},
    }
    result = look(GOOD, record=record)
    assert found(result) == {"no_event": 6, "unreadable_value": 5, "unlisted_item": 2}
    assert all(finding.severity == "warning" for finding in result.findings)


def test_severities_are_the_configuration_s() -> None:
    bad: Row = ("a", "x", None, 5)
    assert look([*GOOD, bad], config(early_timestamp="warning")).errors == ()
    off = look([*GOOD, bad], config(early_timestamp="off"))
    assert off.findings == ()
    assert off.rows["interactions"].kept == 4
    assert "early_timestamp" not in off.checked
    assert look([*GOOD, GOOD[0]], config(duplicate_interaction="error")).errors[0].count == 1


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ({"dupliate_item": "off"}, "no such check; did you mean duplicate_item"),
        ({"null_user_id": "off"}, "cannot be off.*set it to warning"),
    ],
)
def test_a_severity_that_makes_no_sense_is_refused(validation: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        look(GOOD, config(**validation))


def test_a_table_of_other_types_is_refused_before_any_row_is_read() -> None:
    wrong = interactions(GOOD).drop_columns("weight").set_column(3, "value", pa.array(["1", "2", "3"]))
    result = look(GOOD, interactions=wrong)
    assert [(f.name, f.table, f.count) for f in result.findings] == [("schema", "interactions", 2)]
    assert "'weight' not found" in result.findings[0].what
    assert "'value' to have type float64, got string" in result.findings[0].what
    flat = ITEMS.set_column(3, "tags", pa.array(["a", "b"]))
    assert "'tags' holds string, expected lists of text" in look(GOOD, items=flat).findings[0].what


def on_disk(folder: Path, rows: list[Row]) -> Path:
    prepared = Prepared(interactions(rows), ITEMS, USERS)
    counts = Rows(len(rows) + 2, len(rows), {"no_event": 2})
    write(prepared, "d", counts, {"unreadable": {}, "unlisted": {"items": 0, "users": 0}}, folder)
    return folder


def test_valid_rows_findings_and_report_are_written(tmp_path: Path) -> None:
    dataset = on_disk(tmp_path / "in", [*GOOD, ("<b>x</b>", "x", NAN, T0)])
    summary = validate(config(), dataset, tmp_path / "out", tmp_path / "r" / "report.html", ManualClock(NOW))
    assert summary["rows"] == {"read": 6, "kept": 3, "dropped": {"no_event": 2, "non_finite_value": 1}}
    assert pq.read_table(tmp_path / "out/interactions.parquet").equals(interactions(GOOD))
    assert json.loads((tmp_path / "out/dataset.json").read_text()) == summary
    findings = json.loads((tmp_path / "out/findings.json").read_text())
    assert findings["rows"]["interactions"] == {"in": 4, "out": 3, "dropped": {"non_finite_value": 1}}
    page = (tmp_path / "r/report.html").read_text(encoding="utf-8")
    assert "Accepted with 2 warnings" in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "<b>x</b>" not in page


def test_an_error_stops_after_findings_and_report_are_written(tmp_path: Path) -> None:
    dataset = on_disk(tmp_path / "in", [*GOOD, (None, "x", 1.0, T0)])
    with pytest.raises(DataError, match=r"null_user_id: 1 .*Samples are in .*report\.html.*=warning"):
        validate(config(), dataset, tmp_path / "out", tmp_path / "report.html", ManualClock(NOW))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["findings.json"]
    assert "Refused: 1 of" in (tmp_path / "report.html").read_text(encoding="utf-8")


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "", None]),
            st.sampled_from(["x", "y", None]),
            st.sampled_from([1.0, NAN, None]),
            st.sampled_from([T0, T0 + 1, 5, 10**17, None]),
        ),
        max_size=15,
    )
)
def test_rows_in_are_rows_out_and_rows_reported(rows: list[Row]) -> None:
    result = look(rows)
    counted = result.rows["interactions"]
    assert counted.read == len(rows)
    assert counted.read == counted.kept + sum(counted.dropped.values())
    assert counted.kept == result.prepared.interactions.num_rows
    dropped = {
        f.name: f.count for f in result.findings if f.effect == "dropped" and f.table == "interactions"
    }
    assert dropped == counted.dropped
    again = look(kept_rows(result))
    assert again.rows["interactions"].dropped == {}


def kept_rows(result: Validation) -> list[Row]:
    table = result.prepared.interactions
    times = table["timestamp"].cast(pa.int64()).to_pylist()
    return list(zip(*(table[c].to_pylist() for c in ("user_id", "item_id", "value")), times, strict=True))
