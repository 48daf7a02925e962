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
        ({"rows": 2_000}, {"shrunk_table interactions", "engagement"}),  # each user did less
    ],
)
def test_a_planted_change_is_found_and_nothing_else(changes: dict[str, Any], expected: set[str]) -> None:
    assert found(drift(SAME, snapshot(seed=2, **changes))) == expected


def test_resampling_raises_no_alarm() -> None:
    alarms = [found(drift(SAME, snapshot(seed=seed))) for seed in range(100, 120)]
    assert [a for a in alarms if a] == []


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
        "items": {"genre": {"missing": 0.0, "quantiles": {"0.5": 1.0}}},
    }
    result = compare(old, describe(SAME), CONFIG)
    assert result.errors == ()
    values = {f.name: f.value for f in result.figures if not f.subject}
    assert values["event_mix"] == 0.0
    assert values["schema_changed"] is None
    assert values["engagement"] is None
    assert values["new_items"] is None


def test_empty_statistics_are_not_comparable() -> None:
    result = compare({}, {}, CONFIG)
    assert all(f.value is None for f in result.figures)


def test_statistics_name_no_user() -> None:
    assert '"u7"' not in json.dumps(describe(SAME))
