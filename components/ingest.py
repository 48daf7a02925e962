"""Fetch and prepare the interactions, items and users of a data set."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def ingest(
    dataset_config: dict[str, Any],
    cache: str,
    data_fingerprint: str,
    code_fingerprint: str,
    dataset: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Raw tables to the prepared data set. The fingerprints are there for the step's cache key."""
    import json
    from pathlib import Path

    from slate.steps.ingest import ingest

    print(f"data {data_fingerprint}, code {code_fingerprint}")
    values = ingest(dataset_config, Path(dataset.path), Path(cache))
    metrics.metadata.update(values)
    Path(metrics.path).write_text(json.dumps(values), encoding="utf-8")
