"""What the data of a release looked like, small enough to ship with it, to measure drift against.

No user id is in it. ``VERSION`` 2 added schema, rows, activity, recent days and finer quantiles.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from slate import columns
from slate.clock import isoformat
from slate.data import engagement
from slate.data.catalogue import TRAIN_COUNT

VERSION: Final = 2
#: Days before the data's end over which recent engagement is taken.
RECENT_DAYS: Final = (7, 28)

_TOP: Final = 10_000
_TOP_CATEGORIES: Final = 200
_QUANTILES: Final = 101
_KEYS: Final = frozenset({*columns.INTERACTION_COLUMNS, columns.ORGANIC, columns.TITLE, TRAIN_COUNT})


def describe(tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """Statistics of a whole data set: ``interactions``, ``items`` and ``users`` tables."""
    features = {
        name: [c for c in table.column_names if c not in _KEYS and not c.startswith("__")]
        for name, table in tables.items()
    }
    return {
        "version": VERSION,
        "rows": {name: table.num_rows for name, table in tables.items()},
        "schema": {
            name: {feature: _kind(tables[name].schema.field(feature).type) for feature in names}
            for name, names in features.items()
        },
        "interactions": describe_interactions(tables["interactions"]),
        "context": describe_columns(tables["interactions"], features["interactions"]),
        **{side: describe_columns(tables[side], features[side]) for side in ("items", "users")},
    }


def describe_interactions(table: pa.Table) -> dict[str, Any]:
    """Counts, time range, event mix, popularity, activity and engagement of prepared interactions.

    ``activity`` is the quantiles of interactions by user. Over the last 7 and 28 days before the data's end,
    ``recent_engagement`` is that per active user with the standard error of this mean in
    ``recent_engagement_error`` (None for one user), and ``recent_rows_per_day`` the interactions a day.
    """
    items = table[columns.ITEM].value_counts().to_pylist()
    items.sort(key=lambda entry: (-entry["counts"], entry["values"]))
    events = {e["values"]: e["counts"] for e in table[columns.EVENT].value_counts().to_pylist()}
    by_user = table[columns.USER].value_counts()
    by_day = engagement.daily(table).to_pylist()
    times = pc.min_max(table[columns.TIMESTAMP]).as_py()
    recent = {str(n): _since(table, times["max"] - timedelta(days=n)) for n in RECENT_DAYS if times["max"]}
    return {
        "rows": table.num_rows,
        "users": len(by_user),
        "items": len(items),
        "first": isoformat(times["min"]) if times["min"] else None,
        "last": isoformat(times["max"]) if times["max"] else None,
        "events": dict(sorted(events.items())),
        "popularity": {entry["values"]: entry["counts"] for entry in items[:_TOP]},
        "activity": _quantiles(by_user.field("counts")),
        "engagement_by_day": {row["day"].isoformat(): row["engagement"] for row in by_day},
        "recent_engagement": {days: _engagement(part) for days, part in recent.items()},
        "recent_engagement_error": {days: _error(part) for days, part in recent.items()},
        "recent_rows_per_day": {days: part.num_rows / int(days) for days, part in recent.items()},
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
            column = column.cast(pa.int64())
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            quantiles = _quantiles(column)
            if quantiles:
                entry["quantiles"] = quantiles
        else:
            counts = column.drop_null().value_counts().to_pylist()
            counts.sort(key=lambda c: (-c["counts"], str(c["values"])))
            entry["categories"] = len(counts)
            entry["total"] = sum(c["counts"] for c in counts)
            entry["counts"] = {str(c["values"]): c["counts"] for c in counts[:_TOP_CATEGORIES]}
        described[name] = entry
    return described


def _quantiles(column: pa.Array) -> list[float]:
    """The 0th, 1st, ... 100th percentile of the finite values; empty where there are none."""
    numbers = column.drop_null().cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        return []
    return [float(value) for value in np.quantile(numbers, np.linspace(0, 1, _QUANTILES))]


def _since(table: pa.Table, start: datetime) -> pa.Table:
    return table.filter(pc.greater(table[columns.TIMESTAMP], pa.scalar(start, table[columns.TIMESTAMP].type)))


def _engagement(table: pa.Table) -> float:
    return float(engagement.over(table, "all")["engagement"][0].as_py())


def _error(table: pa.Table) -> float | None:
    by_user = table.group_by(columns.USER).aggregate([(columns.WEIGHT, "sum")])[f"{columns.WEIGHT}_sum"]
    sums = by_user.to_numpy()
    return float(sums.std(ddof=1) / np.sqrt(len(sums))) if len(sums) > 1 else None


def _kind(kind: pa.DataType) -> str:
    """A column's type as schemas are compared: text and its storage variants are one."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list of {_kind(kind.value_type)}"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_timestamp(kind):
        return "time"
    return "number" if pa.types.is_floating(kind) or pa.types.is_integer(kind) else str(kind)
