"""Engagement of the log, worked by hand, and through files as the consumer writes them."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from slate import columns
from slate.cli.main import app
from slate.clock import microseconds
from slate.config import Event
from slate.data.engagement import over
from slate.errors import DataError
from slate.feedback import tables
from slate.feedback.metrics.engagement import Engagement, measure
from slate.feedback.metrics.log import SCHEMA, days_of, read_rows
from slate.storage import LocalStore

FIRST = date(2026, 6, 1)
EVENTS = {"like": Event(weight=1), "watch": Event(weight=0.5, weight_by="value"), "hide": Event(weight=-2)}

Row = tuple[str, str | None, float, int, str]


def at(day: int, hour: int = 12) -> datetime:
    return datetime(2026, 6, 1, hour, tzinfo=UTC) + timedelta(days=day)


def rows_of(rows: Sequence[Row]) -> pa.Table:
    """User, item, weight, day from 0, variant."""
    names = (columns.USER, columns.ITEM, columns.WEIGHT, columns.TIMESTAMP, "variant")
    full = [(user, item, weight, at(day), variant) for user, item, weight, day, variant in rows]
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in full], schema=SCHEMA)


ROWS: list[Row] = [
    ("ann", None, 0.0, 0, "stable"),
    ("ann", "i1", 3.0, 0, "stable"),
    ("ann", "i2", -2.0, 0, "stable"),
    ("bob", None, 0.0, 0, "stable"),
    ("eve", "i1", 5.0, 0, "candidate"),
    ("ann", None, 0.0, 1, "candidate"),
    ("bob", "i2", 1.0, 6, "stable"),
    ("eve", "i2", 1.0, 8, "candidate"),
]


def only(found: Sequence[Engagement], **wanted: Any) -> Engagement:
    (one,) = [each for each in found if all(getattr(each, name) == value for name, value in wanted.items())]
    return one


def test_a_day_by_hand() -> None:
    found = measure(rows_of(ROWS), at(9).date())
    assert [(each.day, each.variant) for each in found] == [
        (FIRST, "candidate"), (FIRST, "stable"), (date(2026, 6, 2), "candidate"),
        (date(2026, 6, 7), "stable"), (date(2026, 6, 9), "candidate"),
    ]  # fmt: skip
    stable = only(found, day=FIRST, variant="stable")
    # ann has 3 - 2 = 1, bob was shown a slate and did nothing.
    assert (stable.users, stable.engagement.value) == (2, 0.5)
    assert (stable.positive.value, stable.negative.value) == (1.5, -1.0)
    half = 1.959963984540054 * math.sqrt(0.5) / math.sqrt(2)
    assert (stable.engagement.low, stable.engagement.high) == pytest.approx((0.5 - half, 0.5 + half))
    # ann came back the day after, though with another variant; bob after six days.
    assert (stable.return_1.value, stable.return_7.value) == (0.5, 1.0)
    assert (stable.return_1.low, stable.return_1.high) == pytest.approx((0.0945312, 0.9054688))
    eve = only(found, day=FIRST, variant="candidate")
    assert (eve.users, eve.engagement.value, eve.engagement.low) == (1, 5.0, None)
    assert (eve.return_1.value, eve.return_7.value) == (0.0, 0.0)


def test_who_may_still_return_is_not_counted_as_gone() -> None:
    found = measure(rows_of(ROWS), at(8).date())
    second = only(found, day=date(2026, 6, 2))
    assert (second.return_7.value, second.return_7.users) == (0.0, 1)
    later = only(found, day=date(2026, 6, 7))
    assert (later.return_1.value, later.return_7.value, later.return_7.users) == (0.0, None, 0)
    last = only(found, day=date(2026, 6, 9))
    assert (last.return_1.value, last.return_1.low) == (None, None)


def test_the_whole_period_by_hand() -> None:
    found = measure(rows_of(ROWS), at(9).date(), "all")
    stable, candidate = only(found, variant="stable"), only(found, variant="candidate")
    assert (stable.day, stable.users, candidate.users) == (None, 2, 2)
    assert (stable.engagement.value, stable.positive.value, stable.negative.value) == (1.0, 2.0, -1.0)
    assert (candidate.engagement.value, candidate.return_1.value) == (3.0, 0.0)
    assert (stable.return_1.value, stable.return_7.value) == (0.5, 1.0)


def test_slices_of_users_and_of_items() -> None:
    users = pa.table({columns.USER: ["ann", "bob", "eve"], "country": ["de", "fr", None]})
    found = measure(rows_of(ROWS), at(9).date(), "all", users, "country")
    sliced = {(each.variant, each.slice): each.engagement.value for each in found}
    assert sliced == {
        ("stable", "de"): 1.0, ("stable", "fr"): 1.0, ("candidate", "de"): 0.0, ("candidate", "missing"): 6.0
    }  # fmt: skip
    items = pa.table({columns.ITEM: ["i1", "i2"], "genre": ["drama", "crime"]})
    found = measure(rows_of(ROWS), at(9).date(), "all", items, "genre")
    sliced = {(each.variant, each.slice): (each.users, each.engagement.value) for each in found}
    assert sliced == {
        ("stable", "drama"): (1, 3.0), ("stable", "crime"): (2, -0.5),
        ("candidate", "drama"): (1, 5.0), ("candidate", "crime"): (1, 1.0),
    }  # fmt: skip
    with pytest.raises(DataError, match="attribute 'age'"):
        measure(rows_of(ROWS), at(9).date(), "all", users, "age")
    assert measure(rows_of([]), FIRST) == []


@settings(max_examples=6, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["u1", "u2", "u3", "u4"]), st.sampled_from(["a", "b"]),
            st.sampled_from([-2.0, 0.0, 1.0, 2.5]), st.integers(0, 12), st.just("stable"),
        ),
        min_size=1, max_size=40,
    )
)  # fmt: skip
def test_it_is_the_metric_of_data_sets_with_one_variant(rows: list[Row]) -> None:
    table = rows_of(rows)
    expected = over(table, "day").to_pylist()
    found = measure(table, at(12).date())
    assert [(each.day, each.users) for each in found] == [(e["period"], e["active_users"]) for e in expected]
    for each, other in zip(found, expected, strict=True):
        assert each.engagement.value == pytest.approx(other["engagement"])
        assert each.positive.value == pytest.approx(other["positive"] / other["active_users"])
        days = {(user, day) for user, _, _, day, _ in rows}
        day = (each.day - FIRST).days if each.day else 0
        active = {user for user, on in days if on == day}
        for back, share in ((1, each.return_1.value), (7, each.return_7.value)):
            if day + back > 12:
                assert share is None
            else:
                returned = {u for u in active if any((u, day + gap) in days for gap in range(1, back + 1))}
                assert share == pytest.approx(len(returned) / len(active))


def outcome(
    number: int, user: str, event: str, when: datetime, variant: str, value: float | None = None
) -> Any:
    instant = microseconds(when)
    return (
        f"o{number}", user, "i1", event, value, instant, instant, "x", False,
        None, None, variant, "r1", 1, 1.0,
    )  # fmt: skip


def exposure(user: str, when: datetime, variant: str) -> Any:
    instant = microseconds(when)
    return (
        f"x-{user}",
        instant,
        user,
        *[None] * 5,
        variant,
        variant,
        "r1",
        "personalised",
        1.0,
        "{}",
        [],
    )


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """Two days; one outcome of the first came in on the second, one event is unknown."""
    store = LocalStore(tmp_path / "store")
    files = {
        "outcomes/date=2026-06-01/0-1-2.parquet": [
            outcome(1, "ann", "watch", at(0), "stable", 8.0), outcome(2, "ann", "like", at(0), "stable", 99.0)
        ],
        "outcomes/date=2026-06-02/0-3-5.parquet": [
            outcome(3, "ann", "hide", at(0, 23), "stable"), outcome(4, "bob", "like", at(1), "candidate"),
            outcome(5, "bob", "dance", at(1), "candidate"),
        ],
    }  # fmt: skip
    for key, rows in files.items():
        store.write_new(key, tables.parquet(tables.OUTCOMES, rows))
    shown = [exposure("ann", at(0), "stable"), exposure("eve", at(0), "stable")]
    store.write_new("exposures/date=2026-06-01/0-1-2.parquet", tables.parquet(tables.EXPOSURES, shown))
    store.write_new("outcomes/notes.txt", b"not of the log")
    return store


def test_rows_come_from_the_files_of_the_consumer(store: LocalStore) -> None:
    assert days_of(store) == (FIRST, date(2026, 6, 2))
    rows = read_rows(store, EVENTS, FIRST, FIRST, late_days=7).to_pylist()
    weights = sorted((row["user_id"], row["weight"], row["item_id"]) for row in rows if row["item_id"])
    assert weights == [("ann", -2.0, "i1"), ("ann", 1.0, "i1"), ("ann", 4.0, "i1")]
    assert sorted(row["user_id"] for row in rows if row["item_id"] is None) == ["ann", "eve"]
    assert len(read_rows(store, EVENTS, FIRST, FIRST, late_days=0)) == 4
    assert read_rows(store, EVENTS, at(1).date(), at(1).date(), 7)["user_id"].to_pylist() == ["bob"]
    store.write_new("outcomes/date=2026-06-01/0-9-9.parquet", b"broken")
    with pytest.raises(DataError, match="0-9-9"):
        read_rows(store, EVENTS, FIRST, FIRST, 7)


def test_the_command(store: LocalStore, tmp_path: Path) -> None:
    config = tmp_path / "shop.yaml"
    users = tmp_path / "users.csv"
    users.write_text("user_id,country\nann,de\nbob,fr\neve,<b>\n")
    (tmp_path / "events.csv").write_text("user_id,item_id,event,value,timestamp\nann,i1,like,,2026-05-01\n")
    described = {
        "dataset": {
            "name": "shop",
            "interactions": {"path": "events.csv", "columns": {"event": "event", "value": "value"}},
            "users": {"path": "users.csv", "features": {"country": "categorical"}},
            "events": {name: event.model_dump(exclude_none=True) for name, event in EVENTS.items()},
        }
    }
    config.write_text(json.dumps(described))
    words = ["metrics", "--store", str(tmp_path / "store"), "--config", str(config)]
    told = CliRunner().invoke(app, [*words, "--json"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert [(each["day"], each["variant"], each["engagement"]["value"]) for each in found] == [
        ("2026-06-01", "stable", 1.5), ("2026-06-02", "candidate", 1.0)
    ]  # fmt: skip
    told = CliRunner().invoke(app, [*words, "--by", "variant"])
    assert told.exit_code == 0, told.output
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("candidate less stable: ")]
    assert "engagement -0.500" in line
    told = CliRunner().invoke(app, [*words, "--by", "variant", "--json"])
    found = json.loads(told.stdout)
    assert [each["variant"] for each in found["variants"]] == ["candidate", "stable"]
    assert [each["engagement"]["value"] for each in found["differences"]] == [-0.5]
    page = tmp_path / "metrics.html"
    told = CliRunner().invoke(app, [*words, "--slice", "country", "--by", "all", "--out", str(page)])
    assert told.exit_code == 0, told.output
    assert "stable" in told.output
    text = page.read_text()
    assert "&lt;b&gt;" in text
    assert "<b></td>" not in text
    assert "<script" not in text
    assert text.count("2026-06-01") > 1
    for wrong in (["--since", "2026-07-01"], ["--slice", "age"]):
        ended = CliRunner().invoke(app, [*words, *wrong])
        assert isinstance(ended.exception, DataError)
    empty = CliRunner().invoke(app, ["metrics", "--store", str(tmp_path / "none"), "--config", str(config)])
    assert "no outcomes" in str(empty.exception)
