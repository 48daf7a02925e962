"""Bring the ranking model up to date."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def update_ranker(
    ranking: dict[str, Any],
    incremental: dict[str, Any],
    dataset_config: dict[str, Any],
    code_fingerprint: str,
    splits: dsl.Input[dsl.Dataset],
    two_tower: dsl.Input[dsl.Model],
    index: dsl.Input[dsl.Model],
    parent: dsl.Input[dsl.Model],
    ranker: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """The ranking model and its metrics, from the parent's weights."""
    import json
    from pathlib import Path

    from slate.steps.update_ranker import update_ranker

    print(f"code {code_fingerprint}")
    values = update_ranker(
        ranking,
        incremental,
        dataset_config,
        Path(splits.path),
        Path(two_tower.path),
        Path(index.path),
        Path(parent.path),
        Path(ranker.path),
    )
    metrics.metadata.update(values)
    Path(metrics.path).write_text(json.dumps(values), encoding="utf-8")
