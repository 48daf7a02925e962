"""Cut the interactions into training, validation and test."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def split(
    dataset_config: dict[str, Any],
    split_config: dict[str, Any],
    code_fingerprint: str,
    dataset: dsl.Input[dsl.Dataset],
    splits: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """The splits, the catalogue and the fitted features."""
    import json
    from pathlib import Path

    from slate.steps.split import split

    print(f"code {code_fingerprint}")
    values = split(dataset_config, split_config, Path(dataset.path), Path(splits.path))
    metrics.metadata.update(values)
    Path(metrics.path).write_text(json.dumps(values), encoding="utf-8")
