"""A log and its items as a data set like any other: Parquet files and the YAML that describes them."""

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from slate import columns
from slate.simulation.tastes import WEIGHTS
from slate.simulation.world import World

CONFIG: Final = "world.yaml"
_LOG: Final = "log.parquet"
_ITEMS: Final = "items.parquet"


def write_dataset(world: World, log: pa.Table, sections: dict[str, Any], folder: Path) -> Path:
    """Write a log with the items that occur in it; ``sections`` follow the data set in the YAML.

    Returns:
        the configuration file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(log, folder / _LOG)
    write_items(world, log, folder)
    config = folder / CONFIG
    config.write_text(yaml.safe_dump({"dataset": _dataset(folder), **sections}), encoding="utf-8")
    return config


def write_items(world: World, log: pa.Table, folder: Path) -> None:
    """Write the items that occur in a log, in place of those that the folder's data set had."""
    pq.write_table(_items(world, log), folder / _ITEMS)


def _items(world: World, log: pa.Table) -> pa.Table:
    tastes = world.tastes
    table = pa.table(
        {
            columns.ITEM: list(tastes.items),
            columns.TITLE: [f"Item {n}" for n in range(len(tastes.items))],
            "genre": [f"genre-{n}" for n in world.genre],
            "brightness": world.brightness,
        }
    )
    return table.filter(pc.is_in(table[columns.ITEM], log[columns.ITEM].unique()))


def _dataset(folder: Path) -> dict[str, Any]:
    ours = (columns.USER, columns.ITEM, columns.EVENT, columns.TIMESTAMP)
    return {
        "name": "simulation",
        "interactions": {"path": str(folder / _LOG), "columns": {name: name for name in ours}},
        "items": {
            "path": str(folder / _ITEMS),
            "columns": {columns.ITEM: columns.ITEM, columns.TITLE: columns.TITLE},
            "features": {"genre": "categorical", "brightness": "numeric"},
        },
        "events": {name: {"weight": weight} for name, weight in WEIGHTS.items()},
    }
