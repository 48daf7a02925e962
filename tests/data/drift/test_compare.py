import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from slate.config import DriftConfig
from slate.data.drift import Drift, Entities, compare
from slate.data.statistics import describe
from slate.errors import ConfigError

CONFIG = DriftConfig()
START = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e6)


def snapshot(seed: int = 1, rows: int = 6_000, **changes: Any) -> dict[str, pa.Table]:
    """200 users, 80 items with a long tail, 60 days; ``changes`` plant a drift."""
    generator = np.random.default_rng(seed)
    weights = 1 / np.arange(1, 81) ** changes.get("skew", 0.8)
    order = np.arange(80)[::-1] if changes.get("turned") else np.arange(80)
    items = generator.choice(order, rows, p=weights / weights.sum())
    events = generator.choice(["like", "hide"], rows, p=[1 - (h := changes.get("hide", 0.1)), h])
    ages = generator.normal(changes.get("age", 40), 10, 200)
    missing = generator.random(80) < changes.get("missing", 0.05)
    return {
        "interactions": pa.table(
            {
                "user_id": [f"u{u}" for u in generator.integers(0, 200, rows)],
                "item_id": [f"i{i}" for i in items],
                "event": events,
                "value": pa.nulls(rows, pa.float64()),
                "weight": np.where(events == "like", 1.0, -2.0),
                "timestamp": pa.array(np.sort(generator.integers(0, 60 * 86_400_000_000, rows)) + START).cast(
                    pa.timestamp("us", "UTC")
                ),
                "surface": generator.choice(["tv", "phone"], rows),
            }
        ),
        "items": pa.table(
            {
                "item_id": [f"i{i}" for i in range(80)],
                "title": pa.nulls(80, pa.string()),
                "genre": pa.array([None if m else f"g{i % 4}" for i, m in enumerate(missing)], pa.string()),
            }
        ),
        "users": pa.table({"user_id": [f"u{u}" for u in range(200)], "age": ages}),
    }


def drift(first: dict[str, pa.Table], second: dict[str, pa.Table], config: DriftConfig = CONFIG) -> Drift:
    ids = [
        Entities(s["items"]["item_id"].to_pylist(), s["users"]["user_id"].to_pylist())
        for s in (first, second)
    ]
    # As a release holds them: through JSON, keys sorted.
    before, now = (json.loads(json.dumps(describe(s), sort_keys=True)) for s in (first, second))
    return compare(before, now, config, *ids)


def found(result: Drift) -> set[str]:
    return {f"{f.name} {f.subject}".strip() for f in result.findings}


SAME = snapshot()


def test_the_same_snapshot_has_not_moved() -> None:
    result = drift(SAME, SAME)
    assert result.findings == ()
    assert {f.value for f in result.figures} == {0.0}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"age": 55}, {"feature users.age"}),
        ({"missing": 0.6}, {"missing items.genre"}),
        ({"hide": 0.3}, {"event_mix", "engagement"}),
        ({"turned": True, "skew": 1.5}, {"popularity"}),
        ({"rows": 2_000}, {"shrunk_table interactions", "rows_per_day", "engagement"}),  # each user did less
    ],
)
def test_a_planted_change_is_found_and_nothing_else(changes: dict[str, Any], expected: set[str]) -> None:
    assert found(drift(SAME, snapshot(seed=2, **changes))) == expected


def test_resampling_raises_no_alarm() -> None:
    for rows in (6_000, 400):
        first = describe(snapshot(rows=rows))
        alarms = [
            found(compare(first, describe(snapshot(seed=seed, rows=rows)), CONFIG)) for seed in range(5, 10)
        ]
        assert set().union(*alarms) == set()


def test_new_and_vanished_ids() -> None:
    renamed = snapshot()
    renamed["items"] = renamed["items"].set_column(0, "item_id", pa.array([f"I-{i}" for i in range(80)]))
    result = {f.name: f for f in drift(SAME, renamed).figures}
    assert (result["new_items"].value, result["vanished_items"].value) == (1.0, 1.0)
    assert result["new_items"].samples[0] == "I-0"
    assert result["new_users"].value == 0.0
    assert not result["new_users"].samples  # users are not named


def test_a_changed_schema_is_an_error_and_an_added_column_a_warning() -> None:
    changed = snapshot()
    changed["users"] = pa.table(
        {"user_id": changed["users"]["user_id"], "age": ["old"] * 200, "town": ["x"] * 200}
    )
    changed["items"] = changed["items"].drop_columns(["genre"])
    result = drift(SAME, changed)
    assert [(f.name, f.subject, f.samples) for f in result.errors] == [
        ("schema_changed", "items", ("genre (gone)",)),
        ("schema_changed", "users", ("age (number, now text)",)),
    ]
    assert ("schema_added", ("town",)) in [(f.name, f.samples) for f in result.findings]


def test_severities_come_from_the_configuration() -> None:
    halved = snapshot(rows=2_000)
    config = DriftConfig(severities={"shrunk_table": "warning", "feature": "off"})
    result = drift(SAME, halved, config)
    assert result.errors == ()
    assert "shrunk_table interactions" in found(result)
    assert not any(f.name == "feature" for f in result.figures)
    with pytest.raises(
        ConfigError, match=r"drift\.severities\.shrunk: no such check; did you mean shrunk_table\?"
    ):
        drift(SAME, halved, DriftConfig(severities={"shrunk": "off"}))


def test_statistics_of_an_older_release_are_compared_as_far_as_they_go() -> None:
    older = describe(SAME)
    old = {
        "interactions": {k: older["interactions"][k] for k in ("rows", "events", "popularity")},
        "items": {
            "genre": {"missing": 0.0, "categories": 4, "counts": older["items"]["genre"]["counts"]},
            "words": {"missing": 0.0, "categories": 900, "counts": {"the": 9}},
        },
        "users": {"age": {"missing": 0.0, "quantiles": {"0.5": 1.0}}},
    }
    now = describe(SAME)
    now["items"]["words"] = {"missing": 0.0, "categories": 900, "total": 2_000, "counts": {"the": 9}}
    result = compare(old, now, CONFIG)
    assert result.findings == ()
    values = {f.name: f.value for f in result.figures if not f.subject}
    assert values["event_mix"] == 0.0
    assert values["schema_changed"] is None
    assert values["engagement"] is None
    assert values["new_items"] is None
    features = {f.subject: f.value for f in result.figures if f.name == "feature"}
    assert features == {"items.genre": 0.0, "items.words": None, "users.age": None}


def test_a_long_tail_of_categories_is_no_drift_and_a_new_common_one_is() -> None:
    def words(seed: int, **more: float) -> dict[str, Any]:
        drawn = np.random.default_rng(seed).integers(0, 900, 2_000)
        listed = [f"w{w}" for w in drawn] + [w for w, n in more.items() for _ in range(int(n))]
        items = pa.table({"item_id": [f"i{i}" for i in range(len(listed))], "title": listed, "word": listed})
        return describe({**SAME, "items": items})

    def index(result: Drift) -> Any:
        return next(f for f in result.figures if f.subject == "items.word" and f.name == "feature")

    assert index(compare(words(1), words(2), CONFIG)).passed
    moved = index(compare(words(1), words(2, spam=600), CONFIG))
    assert not moved.passed
    assert moved.samples[0] == "spam (0.1%, now 23.1%)"  # it may have been the first that is not listed


def test_the_limit_is_no_less_than_chance_makes_of_few_rows() -> None:
    few, same = (describe(snapshot(seed=seed, rows=40)) for seed in (1, 2))
    figures = {
        f.name: f for f in compare(few, same, CONFIG).figures if f.name in ("popularity", "engagement")
    }
    for name, limit in (("popularity", CONFIG.popularity), ("engagement", CONFIG.engagement)):
        assert figures[name].threshold > limit
        assert figures[name].passed
        assert "few rows" in figures[name].note
    assert {f.threshold for f in drift(SAME, SAME).figures if f.name == "popularity"} == {CONFIG.popularity}


def test_empty_statistics_are_not_comparable() -> None:
    result = compare({}, {}, CONFIG)
    assert all(f.value is None for f in result.figures)


def test_recent_days_worked_by_hand() -> None:
    # Day 0 is 40 days before the end, so only the last two days count: ann 3 and 1, bob -2.
    day = 86_400_000_000
    world = {
        **SAME,
        "interactions": pa.table(
            {
                "user_id": ["ann", "ann", "bob", "ann"],
                "item_id": ["i1"] * 4,
                "event": ["like", "share", "hide", "like"],
                "value": pa.nulls(4, pa.float64()),
                "weight": [1.0, 3.0, -2.0, 1.0],
                "timestamp": pa.array([START, START + 39 * day, START + 39 * day, START + 40 * day]).cast(
                    pa.timestamp("us", "UTC")
                ),
            }
        ),
    }
    found = describe(world)["interactions"]
    assert found["recent_engagement"] == {"7": 1.0, "28": 1.0}  # (4 - 2) / 2
    assert found["recent_engagement_error"]["28"] == pytest.approx(3.0)  # of 4 and -2: deviation sqrt(18)
    assert found["recent_rows_per_day"] == {"7": pytest.approx(3 / 7), "28": pytest.approx(3 / 28)}


def test_statistics_name_no_user() -> None:
    assert '"u7"' not in json.dumps(describe(SAME))
