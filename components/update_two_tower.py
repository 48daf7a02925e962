"""Bring the two-tower retrieval model up to date."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def update_two_tower(
    retrieval: dict[str, Any],
    incremental: dict[str, Any],
    dataset_config: dict[str, Any],
    checkpoints: str,
    code_fingerprint: str,
    splits: dsl.Input[dsl.Dataset],
    parent: dsl.Input[dsl.Model],
    two_tower: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """The query tower and the candidate embeddings, from the parent's weights."""
    import json
    from pathlib import Path

    from slate.steps.update_two_tower import update_two_tower

    print(f"code {code_fingerprint}")
    values = update_two_tower(
        retrieval,
        incremental,
        dataset_config,
        Path(splits.path),
        Path(parent.path),
        Path(two_tower.path),
        checkpoints or None,
    )
    metrics.metadata.update(values)
    Path(metrics.path).write_text(json.dumps(values), encoding="utf-8")
