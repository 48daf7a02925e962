"""Pipeline step: bring the towers up to date from the parent's weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slate.steps.train_two_tower import train_two_tower


def update_two_tower(
    retrieval: Mapping[str, Any],
    incremental: Mapping[str, Any],
    dataset_config: Mapping[str, Any],
    splits: Path,
    parent: Path,
    out: Path,
    checkpoints: str | Path | None = None,
) -> dict[str, float]:
    """Write the **two_tower** folder; see :func:`slate.steps.train_two_tower.train_two_tower`."""
    return train_two_tower(
        retrieval, dataset_config, splits, out, checkpoints, incremental=incremental, parent=parent
    )
