"""Pipeline step: cut the data in time, build the catalogue, fit the features."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slate.config import DatasetConfig, SplitConfig, parse_section
from slate.data.splits import split as cut


def split(
    dataset_config: Mapping[str, Any], split_config: Mapping[str, Any], dataset: Path, out: Path
) -> dict[str, Any]:
    """Write the splits folder ``out`` from the data set folder ``dataset``; returns its row counts."""
    summary = cut(
        parse_section(DatasetConfig, dataset_config), parse_section(SplitConfig, split_config), dataset, out
    )
    return {f"rows_{part}": rows for part, rows in summary["rows"].items()}
