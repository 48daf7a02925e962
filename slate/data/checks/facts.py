"""Checks of counts and of what ingest recorded."""

from itertools import pairwise
from typing import Any, Final

from slate.data.checks.base import FactCheck, Facts


def _targets(facts: Facts) -> int:
    return sum(facts.events.get(name, 0) for name, event in facts.config.events.items() if event.is_target)


def _unreadable(facts: Facts) -> list[dict[str, Any]]:
    return [{"column": name, "values": count} for name, count in facts.record.get("unreadable", {}).items()]


def _zones(facts: Facts) -> tuple[int, int]:
    """Text timestamps with and without an offset."""
    zones = facts.record.get("zones", {})
    return int(zones.get("with", 0)), int(zones.get("without", 0))


def _backwards(facts: Facts) -> list[dict[str, Any]]:
    files = [file for file in facts.record.get("files", []) if file["first"] is not None]
    return [
        {"file": later["name"], "begins": later["first"], "before": earlier["name"], "ends": earlier["last"]}
        for earlier, later in pairwise(files)
        if later["first"] < earlier["last"]
    ]


FACT_CHECKS: Final = (
    FactCheck(
        "no_interactions", "interactions", "error", "no interaction is left",
        "see what was dropped above", lambda facts: int(facts.rows == 0), required=True,
    ),
    FactCheck(
        "single_user", "interactions", "error", "all interactions are of one user",
        "check dataset.interactions.columns.user_id", lambda facts: int(facts.users == 1),
    ),
    FactCheck(
        "single_item", "interactions", "error", "all interactions are with one item",
        "check dataset.interactions.columns.item_id", lambda facts: int(facts.items == 1),
    ),
    FactCheck(
        "no_target", "interactions", "error", "no interaction is of a target event",
        "give an event that occurs a positive weight or target: true",
        lambda facts: int(facts.rows > 0 and _targets(facts) == 0), required=True,
    ),
    FactCheck(
        "unused_event", "interactions", "warning", "events of the configuration that no row has",
        "check the names and conditions in dataset.events",
        lambda facts: sum(not facts.events.get(name) for name in facts.config.events),
        lambda facts: [{"event": name} for name in sorted(facts.config.events) if not facts.events.get(name)],
    ),
    FactCheck(
        "no_event", "interactions", "warning", "raw rows that match no event; ingest dropped them",
        "describe their event in dataset.events, if they matter",
        lambda facts: int(facts.record["rows"]["dropped"].get("no_event", 0)),
    ),
    FactCheck(
        "unreadable_value", "interactions", "warning",
        "values that cannot be read as their column's type; they count as missing",
        "correct them, or the feature's kind", lambda facts: sum(r["values"] for r in _unreadable(facts)),
        _unreadable,
    ),
    FactCheck(
        "unlisted_item", "items", "warning", "items that interactions name and the items table lacks; kept",
        "add them to the items table", lambda facts: int(facts.record.get("unlisted", {}).get("items", 0)),
    ),
    FactCheck(
        "unlisted_user", "users", "warning", "users that interactions name and the users table lacks; kept",
        "add them to the users table", lambda facts: int(facts.record.get("unlisted", {}).get("users", 0)),
    ),
    FactCheck(
        "mixed_time_zones", "interactions", "warning",
        "timestamps without an offset beside others with one; they are read as UTC",
        "write an offset with every timestamp",
        lambda facts: min(_zones(facts)) if max(_zones(facts)) else 0,
    ),
    FactCheck(
        "files_out_of_order", "interactions", "warning",
        "files that begin before the one named before them ends",
        "check that no export overlaps another, and that clocks agree",
        lambda facts: len(_backwards(facts)), lambda facts: _backwards(facts),
    ),
)  # fmt: skip
