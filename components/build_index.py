"""Build the searchable index of candidate embeddings."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def build_index(
    index_config: dict[str, Any],
    code_fingerprint: str,
    splits: dsl.Input[dsl.Dataset],
    two_tower: dsl.Input[dsl.Model],
    index: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """The index, with its recall measured against exact search."""
    import json
    from pathlib import Path

    from slate.steps.build_index import build_index

    print(f"code {code_fingerprint}")
    values = build_index(index_config, Path(splits.path), Path(two_tower.path), Path(index.path))
    metrics.metadata.update(values)
    Path(metrics.path).write_text(json.dumps(values), encoding="utf-8")
