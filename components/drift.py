"""Compare the data with what the live release was trained on; a break in it stops the pipeline here."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def drift(
    drift_config: dict[str, Any],
    dataset_config: dict[str, Any],
    store: str,
    champion: str,
    code_fingerprint: str,
    dataset: dsl.Input[dsl.Dataset],
    comparison: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
) -> None:
    """Drift figures against the last release, and over the releases before it."""
    import json
    from pathlib import Path

    from slate.steps.drift import drift

    print(f"code {code_fingerprint}")
    values = drift(
        drift_config,
        dataset_config,
        store,
        champion,
        Path(dataset.path),
        Path(comparison.path),
        Path(report.path),
    )
    metrics.metadata.update(values)
    Path(metrics.path).write_text(json.dumps(values), encoding="utf-8")
