"""Cut what happened since the parent was trained into training, validation and test."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def split_since(
    dataset_config: dict[str, Any],
    split_config: dict[str, Any],
    incremental: dict[str, Any],
    code_fingerprint: str,
    dataset: dsl.Input[dsl.Dataset],
    parent: dsl.Input[dsl.Model],
    splits: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """The splits, the catalogue and the parent's features, grown."""
    import json
    from pathlib import Path

    from slate.steps.split_since import split_since

    print(f"code {code_fingerprint}")
    values = split_since(
        dataset_config,
        split_config,
        incremental,
        Path(dataset.path),
        Path(parent.path),
        Path(splits.path),
    )
    metrics.metadata.update(values)
    Path(metrics.path).write_text(json.dumps(values), encoding="utf-8")
