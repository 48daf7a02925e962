"""Checks of single rows, in the order in which they run, each on what the earlier ones left."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import ibis
import ibis.expr.types as ir

from slate import columns
from slate.config import FeatureKind
from slate.data.checks.base import ROW, Facts, RowCheck
from slate.data.findings import Name

_EARLIEST: Final = datetime(1971, 1, 1, tzinfo=UTC)
#: Ids that only a program wrote which had none.
_MARKERS: Final = ("null", "none", "nan", "n/a", "undefined", "<na>")


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


def _outside(name: Name) -> Callable[[ir.Table, Facts], ir.BooleanValue]:
    def flags(table: ir.Table, facts: Facts) -> ir.BooleanValue:
        described = getattr(facts.config, name)
        test = ibis.literal(False)
        for column, allowed in (described.ranges if described else {}).items():
            if allowed.min is not None:
                test = test | (table[column] < allowed.min).fill_null(False)
            if allowed.max is not None:
                test = test | (table[column] > allowed.max).fill_null(False)
        return test

    return flags


def _marker(column: str) -> Callable[[ir.Table, Facts], ir.BooleanValue]:
    return lambda table, _: table[column].strip().lower().isin(_MARKERS)


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
        "missing_marker_user_id", "interactions", "error", "dropped",
        "interactions whose user id spells a missing value, such as null or nan",
        "leave it empty where it is missing; rename the user where it is real", _marker(columns.USER),
    ),
    RowCheck(
        "missing_marker_item_id", "interactions", "error", "dropped",
        "interactions whose item id spells a missing value, such as null or nan",
        "leave it empty where it is missing; rename the item where it is real", _marker(columns.ITEM),
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
        "value_out_of_range", "interactions", "error", "dropped",
        "interactions with a number outside dataset.interactions.ranges", "correct the value, or the range",
        _outside("interactions"),
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
        "item_out_of_range", "items", "warning", "kept",
        "items with a number outside dataset.items.ranges", "correct the value, or the range",
        _outside("items"),
    ),
    RowCheck(
        "user_out_of_range", "users", "warning", "kept",
        "users with a number outside dataset.users.ranges", "correct the value, or the range",
        _outside("users"),
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
