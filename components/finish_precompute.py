"""Remove outdated slates, and say what the partitions did."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def finish_precompute(
    feedback: dict[str, Any],
    store: str,
    figures: list[str],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
) -> None:
    """The sums over all partitions, and a page."""
    import json
    from pathlib import Path

    from slate.steps.finish_precompute import finish_precompute

    values = finish_precompute(feedback, store, figures, Path(report.path))
    metrics.metadata.update(values)
    Path(metrics.path).write_text(json.dumps(values), encoding="utf-8")
