"""Check the prepared data; bad data stops the pipeline here."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def validate(
    dataset_config: dict[str, Any],
    code_fingerprint: str,
    dataset: dsl.Input[dsl.Dataset],
    validated: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
) -> None:
    """The valid rows of a data set, and a report on the others."""
    import json
    from pathlib import Path

    from slate.steps.validate import validate

    print(f"code {code_fingerprint}")
    values = validate(dataset_config, Path(dataset.path), Path(validated.path), Path(report.path))
    metrics.metadata.update(values)
    Path(metrics.path).write_text(json.dumps(values), encoding="utf-8")
