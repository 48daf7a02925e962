"""Pipeline step: bring the ranker up to date from the parent's weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slate.steps.train_ranker import train_ranker


def update_ranker(
    ranking: Mapping[str, Any],
    incremental: Mapping[str, Any],
    dataset_config: Mapping[str, Any],
    splits: Path,
    two_tower: Path,
    index: Path,
    parent: Path,
    out: Path,
) -> dict[str, float]:
    """Write the **ranker** folder; see :func:`slate.steps.train_ranker.train_ranker`."""
    return train_ranker(
        ranking, dataset_config, splits, two_tower, index, out, incremental=incremental, parent=parent
    )
