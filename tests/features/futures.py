"""Other futures: copies of a splits folder in which everything from an instant on is something else."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.features.oracle import CORE, PARTS

Record = dict[str, Any]
Future = Callable[[pa.Table, int, list[str]], pa.Table]


def rewrite(splits: Path, out: Path, since: int, future: Future) -> Path:
    """Copy a splits folder; ``future`` remakes each part's rows at or after ``since`` (microseconds)."""
    shutil.copytree(splits, out)
    items = pq.read_table(splits / "items.parquet")["item_id"].to_pylist()
    for part in PARTS:
        path = out / f"{part}.parquet"
        if path.exists():
            table = pq.read_table(path)
            later = pc.greater_equal(table["timestamp"].cast(pa.int64()), since)
            parts = [table.filter(pc.invert(later)), future(table.filter(later), since, items)]
            pq.write_table(pa.concat_tables(parts), path)
    return out


def removed(table: pa.Table, since: int, items: list[str]) -> pa.Table:
    """Nothing happens any more, but for what has to be asked at the instant itself."""
    return table.filter(pc.equal(table["timestamp"].cast(pa.int64()), since))


def replaced(table: pa.Table, since: int, items: list[str]) -> pa.Table:
    """The same users at the same instants, with other items, events, values and contexts."""
    strange = wild(table.schema)
    rows = [
        {**row, **strange, "item_id": items[(items.index(row["item_id"]) + 7) % len(items)], "event": "like"}
        for row in table.to_pylist()
    ]
    return pa.Table.from_pylist(rows, table.schema)


def crowded(table: pa.Table, since: int, items: list[str]) -> pa.Table:
    """Beside what happens at the instant: the same users with every item at the same microsecond."""
    at_once = table.filter(pc.equal(table["timestamp"].cast(pa.int64()), since))
    strange = wild(table.schema)
    plants = [
        {**row, **strange, "item_id": item, "event": event}
        for row in at_once.group_by(["user_id", "timestamp"]).aggregate([]).to_pylist()
        for item, event in zip(items, ["hide", "like"] * len(items), strict=False)
    ]
    return pa.concat_tables([table, pa.Table.from_pylist(plants, table.schema)])


def wild(schema: pa.Schema) -> Mapping[str, Any]:
    """A value for every column besides the core ones that no present has ever seen."""
    values: Record = {"weight": 1.0, "value": 1e9}
    for column in schema:
        if column.name in CORE:
            continue
        if pa.types.is_list(column.type):
            values[column.name] = ["from the future"]
        elif pa.types.is_timestamp(column.type):
            values[column.name] = pa.scalar(4_000_000_000_000_000, column.type).as_py()
        else:
            values[column.name] = 1e12 if pa.types.is_floating(column.type) else "from the future"
    return values
