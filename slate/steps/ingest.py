"""Pipeline step: raw tables to the prepared data set."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slate.config import DatasetConfig, parse_section
from slate.data.ingest import ingest as prepare


def ingest(dataset: Mapping[str, Any], out: Path, cache: Path | None = None) -> dict[str, Any]:
    """Prepare the data set described by ``dataset`` into ``out``; downloads are kept in ``cache``.

    Returns:
        counts for the metrics view: rows_read, rows_kept, users, items.
    """
    config = parse_section(DatasetConfig, dataset)
    summary = prepare(config, out, cache or Path.home() / ".cache" / "slate")
    return {
        "rows_read": summary["rows"]["read"],
        "rows_kept": summary["rows"]["kept"],
        "users": summary["users"],
        "items": summary["items"],
    }
