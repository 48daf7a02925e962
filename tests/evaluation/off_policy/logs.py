"""Logs as the consumer writes them, and slots that are filled as a server fills them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from slate.config import Event
from slate.feedback import tables
from slate.storage import LocalStore

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOW = START + timedelta(days=3)
WINDOW = timedelta(days=1)
EVENTS = {"like": Event(weight=1), "hide": Event(weight=-2)}


def item(
    name: str, propensity: float | None = 1.0, score: float | None = 0.5, position: int = 1
) -> dict[str, Any]:
    return {
        "item_id": name, "score": score, "position": position, "source": "two_tower", "propensity": propensity
    }  # fmt: skip


def shown(number: int, items: Sequence[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    return {
        "exposure_id": f"e{number}",
        "timestamp": START + timedelta(minutes=number % 1000),
        "user_id": f"u{number}",
        "assigned_variant": "stable",
        "served_variant": "stable",
        "release_id": "r",
        "rung": "personalised",
        "context": "{}",
        "items": items,
    } | changes


def did(number: int, name: str, event: str = "like", **changes: Any) -> dict[str, Any]:
    at = START + timedelta(minutes=number % 1000 + 1)
    return {
        "event_id": f"{number}-{name}-{event}", "user_id": f"u{number}", "item_id": name, "event": event,
        "timestamp": at, "received": at, "exposure_id": f"e{number}", "organic": False,
        "assigned_variant": "stable", "release_id": "r",
    } | changes  # fmt: skip


def written(
    folder: Path, exposures: Sequence[dict[str, Any]], outcomes: Sequence[dict[str, Any]]
) -> LocalStore:
    store = LocalStore(folder)
    parts = (("exposures", tables.EXPOSURES, exposures), ("outcomes", tables.OUTCOMES, outcomes))
    for name, schema, rows in parts:
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), sink)
        store.write_new(f"{name}/date=2026-06-01/000-0.parquet", sink.getvalue().to_pybytes())
    return store
