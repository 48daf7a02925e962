"""Pipeline step: cut what happened since the parent was trained, and take its vocabulary on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slate.config import DatasetConfig, IncrementalConfig, SplitConfig, parse_section
from slate.data.split_since import split_since as cut
from slate.errors import ConfigError
from slate.steps.parent import Parent


def split_since(
    dataset_config: Mapping[str, Any],
    split_config: Mapping[str, Any],
    incremental: Mapping[str, Any],
    dataset: Path,
    parent: Path,
    out: Path,
) -> dict[str, Any]:
    """Write the splits folder ``out`` from the data set and parent folders; returns its row counts.

    Raises:
        ConfigError: ``split.protocol`` is a benchmark's, which knows no time to go on from.
        DataError: as :func:`slate.data.split_since.split_since`.
    """
    rules = parse_section(SplitConfig, split_config)
    if rules.protocol != "temporal":
        raise ConfigError(
            f"split.protocol={rules.protocol}: makes no release to go on from; set it to temporal"
        )
    summary = cut(
        parse_section(DatasetConfig, dataset_config),
        parse_section(IncrementalConfig, incremental),
        rules.unseen_users,
        Parent.open(parent).cut,
        dataset,
        out,
    )
    return {f"rows_{part}": rows for part, rows in summary["rows"].items()}
