"""What producers append, and what the log holds afterwards."""

import io
import json
from collections.abc import Sequence
from typing import Any

import pyarrow.parquet as pq

from slate.storage import ObjectStore

DAY = "2026-11-21"


def event(name: str, user: str = "ann", item: str = "pen", **changes: Any) -> bytes:
    """An organic event, unless ``exposure_id`` is given."""
    record: dict[str, Any] = {
        "schema": 1,
        "event_id": name,
        "user_id": user,
        "item_id": item,
        "event": "like",
        "timestamp": f"{DAY}T12:00:00.000000Z",
        "received": f"{DAY}T12:00:01.000000Z",
        "organic": "exposure_id" not in changes,
    }
    if "exposure_id" in changes:
        record["shown"] = {
            "at": 1.5,
            "release": "r-1",
            "variant": "candidate",
            "nonce": "n",
            "rollout": "ro",
            "step": "canary",
        }
    return json.dumps(record | changes).encode()


def exposure(name: str, user: str = "ann", items: Sequence[str] = ("pen", "ink"), **changes: Any) -> bytes:
    """A slate of these items, the last one with a propensity of a quarter."""
    shown = [
        {"item_id": item, "score": 1 / place, "position": place, "source": "two_tower", "propensity": 1.0}
        for place, item in enumerate(items, start=1)
    ]
    if shown:
        shown[-1]["propensity"] = 0.25
    record = {
        "schema": 1,
        "exposure_id": name,
        "timestamp": f"{DAY}T11:59:00.000000Z",
        "user_id": user,
        "assigned_variant": "candidate",
        "served_variant": "candidate",
        "release_id": "r-1",
        "rung": "personalised",
        "latency_ms": 12.5,
        "context": {"device": "phone"},
        "items": shown,
    }
    return json.dumps(record | changes).encode()


def rows(store: ObjectStore, folder: str) -> list[dict[str, Any]]:
    """All rows of a folder of the log, by file."""
    found: list[dict[str, Any]] = []
    for key in store.list(f"{folder}/"):
        found += pq.read_table(io.BytesIO(store.read(key))).to_pylist()
    return found


def contents(store: ObjectStore) -> dict[str, bytes]:
    """Every object of the log."""
    return {key: store.read(key) for key in store.list()}
