"""Have several pods of the cluster train the two-tower retrieval model."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def train_on_workers(
    workers: dict[str, Any],
    retrieval: dict[str, Any],
    dataset_config: dict[str, Any],
    checkpoints: str,
    code_fingerprint: str,
    splits: dsl.Input[dsl.Dataset],
    two_tower: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """The query tower and the candidate embeddings."""
    import json
    from pathlib import Path

    from slate.steps.train_on_workers import train_on_workers

    print(f"code {code_fingerprint}")
    values = train_on_workers(
        workers, retrieval, dataset_config, Path(splits.path), Path(two_tower.path), checkpoints
    )
    metrics.metadata.update(values)
    Path(metrics.path).write_text(json.dumps(values), encoding="utf-8")
