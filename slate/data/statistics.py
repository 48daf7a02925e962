"""What the data of a release looked like, small enough to ship with it, to measure drift against."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from slate import columns
from slate.clock import isoformat

_TOP: Final = 10_000
_TOP_CATEGORIES: Final = 200
_QUANTILES: Final = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


def describe_interactions(table: pa.Table) -> dict[str, Any]:
    """Counts, time range, event mix, popularity and daily engagement of prepared interactions.

    ``engagement_by_day`` is the weighted sum of a day's events over the users active on that day.
    """
    times = table[columns.TIMESTAMP]
    items = table[columns.ITEM].value_counts().to_pylist()
    items.sort(key=lambda entry: (-entry["counts"], entry["values"]))
    events = {e["values"]: e["counts"] for e in table[columns.EVENT].value_counts().to_pylist()}
    by_day = (
        table.append_column("day", pc.strftime(times, format="%Y-%m-%d"))
        .group_by("day")
        .aggregate([(columns.WEIGHT, "sum"), (columns.USER, "count_distinct")])
        .sort_by("day")
        .to_pylist()
    )
    return {
        "rows": table.num_rows,
        "users": pc.count_distinct(table[columns.USER]).as_py(),
        "items": len(items),
        "first": isoformat(pc.min(times).as_py()) if table.num_rows else None,
        "last": isoformat(pc.max(times).as_py()) if table.num_rows else None,
        "events": dict(sorted(events.items())),
        "popularity": {entry["values"]: entry["counts"] for entry in items[:_TOP]},
        "engagement_by_day": {
            day["day"]: day[f"{columns.WEIGHT}_sum"] / day[f"{columns.USER}_count_distinct"] for day in by_day
        },
    }


def describe_columns(table: pa.Table, names: Sequence[str]) -> dict[str, Any]:
    """Missing share and distribution of feature columns: quantiles of numbers, counts of the rest."""
    described: dict[str, Any] = {}
    for name in names:
        column = table[name].combine_chunks()
        entry: dict[str, Any] = {"missing": column.null_count / max(len(column), 1)}
        if pa.types.is_list(column.type):
            column = pc.list_flatten(column)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64()).cast(pa.float64())
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            numbers = column.drop_null().cast(pa.float64()).to_numpy(zero_copy_only=False)
            numbers = numbers[np.isfinite(numbers)]
            if numbers.size:
                entry["quantiles"] = {str(q): float(np.quantile(numbers, q)) for q in _QUANTILES}
        else:
            counts = column.drop_null().value_counts().to_pylist()
            counts.sort(key=lambda c: (-c["counts"], str(c["values"])))
            entry["categories"] = len(counts)
            entry["counts"] = {str(c["values"]): c["counts"] for c in counts[:_TOP_CATEGORIES]}
        described[name] = entry
    return described


def describe(tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """Statistics of a whole data set: ``interactions``, ``items`` and ``users`` tables."""
    interactions = tables["interactions"]
    context = [n for n in interactions.column_names if n not in columns.INTERACTION_COLUMNS]
    keys = (columns.ITEM, columns.USER, columns.TITLE)
    return {
        "interactions": describe_interactions(interactions),
        "context": describe_columns(interactions, context),
        **{
            side: describe_columns(tables[side], [n for n in tables[side].column_names if n not in keys])
            for side in ("items", "users")
        },
    }
