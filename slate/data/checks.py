"""The checks of a data set: one small function each, gathered in two registries.

A row check flags rows of one table. Row checks run in the registry's order, each on what the earlier
ones left, so every dropped row is counted by exactly one of them. A fact check looks at the whole.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

import ibis
import ibis.expr.types as ir

from slate import columns
from slate.config import DatasetConfig, FeatureKind
from slate.data.findings import Name, Severity

#: Position of a row in its prepared table, so that "the first of several" has one meaning.
ROW: Final = "__row"
_EARLIEST: Final = datetime(1971, 1, 1, tzinfo=UTC)


class Facts(NamedTuple):
    """What a check may know beside its table.

    ``record`` is the content of ``dataset.json``; ``rows`` and ``users`` and ``items`` count what is left
    of the interactions after the row checks, ``events`` by event name.
    """

    config: DatasetConfig
    now: datetime
    record: Mapping[str, Any]
    rows: int = 0
    users: int = 0
    items: int = 0
    events: Mapping[str, int] = {}


@dataclass(frozen=True)
class RowCheck:
    """``flags(table, facts)`` is true for an offending row, which is then dropped or kept as ``effect`` says.

    ``required``: later steps cannot work with such rows, so the check cannot be switched off.
    """

    name: str
    table: Name
    severity: Severity
    effect: Literal["dropped", "kept"]
    what: str
    fix: str
    flags: Callable[[ir.Table, Facts], ir.BooleanValue]
    required: bool = False


@dataclass(frozen=True)
class FactCheck:
    """``count(facts)`` is how much of something there is that should not be; 0 passes."""

    name: str
    table: Name
    severity: Severity
    what: str
    fix: str
    count: Callable[[Facts], int]
    samples: Callable[[Facts], list[dict[str, Any]]] = lambda _: []
    required: bool = False


def _null(column: str) -> Callable[[ir.Table, Facts], ir.BooleanValue]:
    return lambda table, _: table[column].isnull()


def _empty(column: str) -> Callable[[ir.Table, Facts], ir.BooleanValue]:
    return lambda table, _: table[column].strip() == ""


def _repeated(*keys: str) -> Callable[[ir.Table, Facts], ir.BooleanValue]:
    def flags(table: ir.Table, _: Facts) -> ir.BooleanValue:
        window = ibis.window(group_by=[table[k] for k in keys], order_by=table[ROW])
        return ibis.row_number().over(window) > 0

    return flags


def _early(table: ir.Table, _: Facts) -> ir.BooleanValue:
    return table[columns.TIMESTAMP] < ibis.literal(_EARLIEST)


def _late(table: ir.Table, facts: Facts) -> ir.BooleanValue:
    return table[columns.TIMESTAMP] > ibis.literal(facts.now)


def _endless(column: ir.Value) -> ir.BooleanValue:
    return (column.isnan() | column.isinf()).fill_null(False)


def _endless_value(table: ir.Table, _: Facts) -> ir.BooleanValue:
    return _endless(table[columns.VALUE]) | _endless(table[columns.WEIGHT])


def _endless_feature(name: Name) -> Callable[[ir.Table, Facts], ir.BooleanValue]:
    def flags(table: ir.Table, facts: Facts) -> ir.BooleanValue:
        described = getattr(facts.config, name)
        features = described.features if described else {}
        test = ibis.literal(False)
        for feature, description in features.items():
            if description.kind is FeatureKind.NUMERIC:
                test = test | _endless(table[feature])
        return test

    return flags


ROW_CHECKS: Final = (
    RowCheck(
        "null_user_id", "interactions", "error", "dropped", "interactions without a user id",
        "give every row one, or drop anonymous rows", _null(columns.USER), required=True,
    ),
    RowCheck(
        "empty_user_id", "interactions", "error", "dropped", "interactions with a blank user id",
        "give every row a user id", _empty(columns.USER), required=True,
    ),
    RowCheck(
        "null_item_id", "interactions", "error", "dropped", "interactions without an item id",
        "give every row one", _null(columns.ITEM), required=True,
    ),
    RowCheck(
        "empty_item_id", "interactions", "error", "dropped", "interactions with a blank item id",
        "give every row an item id", _empty(columns.ITEM), required=True,
    ),
    RowCheck(
        "null_timestamp", "interactions", "error", "dropped", "interactions without a readable timestamp",
        "write ISO 8601 or whole numbers, and check dataset.interactions.timestamp_unit",
        _null(columns.TIMESTAMP), required=True,
    ),
    RowCheck(
        "early_timestamp", "interactions", "error", "dropped", "interactions before 1971",
        "check dataset.interactions.timestamp_unit", _early,
    ),
    RowCheck(
        "future_timestamp", "interactions", "error", "dropped", "interactions in the future",
        "check dataset.interactions.timestamp_unit and the clocks that wrote them", _late,
    ),
    RowCheck(
        "non_finite_value", "interactions", "warning", "dropped",
        "interactions whose value or weight is not a finite number", "correct the value column",
        _endless_value, required=True,
    ),
    RowCheck(
        "duplicate_interaction", "interactions", "warning", "dropped",
        "repeats of the same user, item, event and timestamp; the first is kept",
        "write every interaction once",
        _repeated(columns.USER, columns.ITEM, columns.EVENT, columns.TIMESTAMP),
    ),
    RowCheck(
        "non_finite_context", "interactions", "warning", "kept",
        "context numbers that are not finite; they count as missing", "correct the column",
        _endless_feature("interactions"),
    ),
    RowCheck(
        "null_item", "items", "warning", "dropped", "items without an id", "give every item one",
        lambda table, _: table[columns.ITEM].isnull() | (table[columns.ITEM].strip() == ""), required=True,
    ),
    RowCheck(
        "duplicate_item", "items", "warning", "dropped", "items described more than once; one row is kept",
        "keep one row an item", _repeated(columns.ITEM), required=True,
    ),
    RowCheck(
        "non_finite_item_feature", "items", "warning", "kept",
        "item numbers that are not finite; they count as missing", "correct the column",
        _endless_feature("items"),
    ),
    RowCheck(
        "null_user", "users", "warning", "dropped", "users without an id", "give every user one",
        lambda table, _: table[columns.USER].isnull() | (table[columns.USER].strip() == ""), required=True,
    ),
    RowCheck(
        "duplicate_user", "users", "warning", "dropped", "users described more than once; one row is kept",
        "keep one row a user", _repeated(columns.USER), required=True,
    ),
    RowCheck(
        "non_finite_user_feature", "users", "warning", "kept",
        "user numbers that are not finite; they count as missing", "correct the column",
        _endless_feature("users"),
    ),
)  # fmt: skip


def _targets(facts: Facts) -> int:
    return sum(facts.events.get(name, 0) for name, event in facts.config.events.items() if event.is_target)


def _unreadable(facts: Facts) -> list[dict[str, Any]]:
    return [{"column": name, "values": count} for name, count in facts.record.get("unreadable", {}).items()]


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
)  # fmt: skip
