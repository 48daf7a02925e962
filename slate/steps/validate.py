"""Pipeline step: check the prepared data and pass its valid rows on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slate.config import DatasetConfig, parse_section
from slate.data.validation import validate as check


def validate(dataset_config: Mapping[str, Any], dataset: Path, out: Path, report: Path) -> dict[str, Any]:
    """Write the valid rows of ``dataset`` and ``findings.json`` into ``out``, and the HTML ``report``.

    Returns:
        counts for the metrics view: rows_read, rows_kept, rows_dropped, users, items.

    Raises:
        DataError: a check of severity ``error`` found something.
    """
    summary = check(parse_section(DatasetConfig, dataset_config), dataset, out, report)
    rows = summary["rows"]
    return {
        "rows_read": rows["read"],
        "rows_kept": rows["kept"],
        "rows_dropped": rows["read"] - rows["kept"],
        "users": summary["users"],
        "items": summary["items"],
    }
