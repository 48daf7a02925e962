"""Pipeline step: the events of the log beside the data set's interactions."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slate import columns


def collect(dataset_config: Mapping[str, Any], store: str, dataset: Path, out: Path) -> dict[str, int]:
    """Write the **dataset** folder ``out``: that of ``dataset`` and every event of the store's log.

    Args:
        store: where the log is. Without one, or with nothing in its log, ``out`` is a copy of ``dataset``.

    Returns:
        counts for the metrics view: events_read, events_added, new_items, new_users.

    Raises:
        DataError: a file of the log is not as it should be.
    """
    found = _union(dataset_config, store, dataset, out) if store else None
    if found is None:
        shutil.copytree(dataset, out, dirs_exist_ok=True)
        print("no events in the log", flush=True)
        return dict.fromkeys(("events_read", "events_added", "new_items", "new_users"), 0)
    return found


def _union(dataset_config: Mapping[str, Any], store: str, dataset: Path, out: Path) -> dict[str, int] | None:
    """Write both together; None, and nothing written, where the log is empty."""
    import pyarrow.parquet as pq

    from slate.config import DatasetConfig, parse_section
    from slate.data.ingest import Prepared, Rows, write
    from slate.data.union import with_events
    from slate.feedback.log import read_events
    from slate.storage import open_store

    events = read_events(open_store(store))
    if not len(events):
        return None
    config = parse_section(DatasetConfig, dataset_config)
    record = json.loads((dataset / columns.DATASET_FILE).read_text(encoding="utf-8"))
    prepared = Prepared(
        pq.read_table(dataset / columns.INTERACTIONS_FILE),
        pq.read_table(dataset / columns.ITEMS_FILE),
        pq.read_table(dataset / columns.USERS_FILE),
    )
    found = with_events(config, prepared, events)
    rows = record["rows"]
    unlisted = {
        "items": record["unlisted"]["items"] + found.new_items,
        "users": record["unlisted"]["users"] + found.new_users,
    }
    write(
        found.prepared,
        config.name,
        Rows(rows["read"] + len(events), rows["kept"] + found.added, {**rows["dropped"], **found.dropped}),
        {name: record[name] for name in ("unreadable", "zones", "files") if name in record}
        | {"unlisted": unlisted},
        out,
    )
    print(f"{found.added} of {len(events)} events of the log, {found.new_items} new items", flush=True)
    return {
        "events_read": len(events),
        "events_added": found.added,
        "new_items": found.new_items,
        "new_users": found.new_users,
    }
