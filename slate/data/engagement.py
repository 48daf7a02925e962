"""Engagement per active user: the metric that events are weighted for.

For a period and a slice, ``engagement`` is the sum of the weights of all events divided by the number of
distinct users active in it. Positive and negative weights are also summed apart, since a mean hides that
likes and reports may rise together.
"""

from typing import Final

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from slate import columns
from slate.data import engine
from slate.data.period import Period
from slate.errors import DataError

ALL: Final = "all"
MISSING: Final = "missing"
SCHEMA: Final = pa.schema(
    {
        "period": pa.date32(),
        "slice": pa.string(),
        "active_users": pa.int64(),
        "positive": pa.float64(),
        "negative": pa.float64(),
        "engagement": pa.float64(),
    }
)
_UNITS: Final = {"day": "D", "week": "W", "month": "M"}
#: A numeric attribute with more distinct values than this is cut at its quartiles.
_FEW: Final = 8


def over(
    interactions: pa.Table,
    period: Period = "day",
    entities: pa.Table | None = None,
    attribute: str | None = None,
) -> pa.Table:
    """Engagement by period and slice, in UTC.

    Args:
        interactions: prepared interactions; needs user_id, item_id, weight and timestamp.
        period: weeks start on Monday; ``all`` is one period that starts on the first day.
        entities: the users or the items table that holds ``attribute``; None when the attribute is a
            context column of the interactions.
        attribute: the column that makes the slices: one a value, or one a quartile of the entities where it
            is numeric with more than 8 values; rows without a value make the slice ``missing``. A list
            of categories puts a row into the slice of each. An item's attribute counts the users
            active on such items.

    Returns:
        rows sorted by period and slice, with :data:`SCHEMA`. ``period`` is its first day.

    Raises:
        DataError: there is no such attribute.
    """
    if interactions.num_rows == 0:
        return SCHEMA.empty_table()
    connection = engine.connect()
    table: ir.Table = connection.create_table("interactions", interactions)
    label: ir.Value = ibis.literal(ALL)
    if attribute is not None:
        table, label = labelled(connection, table, entities, attribute)
    weight = table[columns.WEIGHT]
    zero = ibis.literal(0.0)
    grouped = (
        table.mutate(period=_start(table, period), slice=label)
        .group_by("period", "slice")
        .aggregate(
            active_users=table[columns.USER].nunique(),
            positive=(weight > 0).ifelse(weight, zero).sum(),
            negative=(weight < 0).ifelse(weight, zero).sum(),
        )
    )
    measured = grouped.mutate(engagement=(grouped.positive + grouped.negative) / grouped.active_users)
    return measured.order_by("period", "slice").to_pyarrow().select(SCHEMA.names).cast(SCHEMA)


def daily(interactions: pa.Table, entities: pa.Table | None = None, attribute: str | None = None) -> pa.Table:
    """:func:`over` single days, with the first column named ``day``."""
    table = over(interactions, "day", entities, attribute)
    return table.rename_columns(["day", *SCHEMA.names[1:]])


def _start(table: ir.Table, period: Period) -> ir.DateValue:
    day = table[columns.TIMESTAMP].cast("timestamp('UTC')").date()
    if period == "all":
        return day.min().over(ibis.window())
    return day.truncate(_UNITS[period])


def labelled(
    connection: object, table: ir.Table, entities: pa.Table | None, attribute: str
) -> tuple[ir.Table, ir.Value]:
    """The interactions joined with the attribute, and the slice of each row; as in :func:`over`."""
    if entities is None:
        if attribute not in table.columns:
            raise DataError(_unknown(attribute, table.columns))
        source, joined = table, table
    else:
        key = columns.ITEM if columns.ITEM in entities.column_names else columns.USER
        if attribute not in entities.column_names:
            raise DataError(_unknown(attribute, entities.column_names))
        source = connection.create_table(  # type: ignore[attr-defined]
            "entities", entities.select([key, attribute]).rename_columns([key, "__attribute"])
        )
        joined = table.left_join(source, key)
        attribute = "__attribute"
    column = joined[attribute]
    kind = column.type()
    if kind.is_array():
        filled = (column.length().fill_null(0) > 0).ifelse(column, ibis.array([MISSING]))
        joined = joined.mutate(__value=filled.unnest())
        return joined, joined["__value"].fill_null(MISSING)
    if kind.is_numeric() and not kind.is_boolean():
        numbers = source[attribute]
        finite = numbers.cast("float64")
        present = source.filter(finite.notnull() & ~finite.isnan() & ~finite.isinf())[attribute]
        if int(present.nunique().execute()) > _FEW:
            edges = sorted({float(present.quantile(q).execute()) for q in (0.25, 0.5, 0.75)})
            return joined, _quartile(column.cast("float64"), edges)
        column = column.cast("float64").nullif(float("nan"))
    text = column.cast("string")
    return joined, text.nullif("").fill_null(MISSING)


def _quartile(column: ir.NumericValue, edges: list[float]) -> ir.StringValue:
    names = [f"{place} up to {edge:g}" for place, edge in enumerate(edges, start=1)]
    tests = [(column.isnull() | column.isnan(), MISSING)]
    tests += [(column <= edge, name) for edge, name in zip(edges, names, strict=True)]
    return ibis.cases(*tests, else_=f"{len(edges) + 1} over {edges[-1]:g}")


def _unknown(attribute: str, present: object) -> str:
    reserved = {*columns.INTERACTION_COLUMNS, columns.USER, columns.ITEM, columns.TITLE}
    names = [name for name in present if name not in reserved]  # type: ignore[attr-defined]
    return f"attribute {attribute!r}: there is no such column; there are {', '.join(names) or 'none'}"
