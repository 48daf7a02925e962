"""Bring the event log and the data set together."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def collect(
    dataset_config: dict[str, Any],
    log: str,
    events_fingerprint: str,
    code_fingerprint: str,
    dataset: dsl.Input[dsl.Dataset],
    collected: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """The data set with every event of a store's log; ``log`` is the store, empty for none.

    The fingerprints are there for the step's cache key.
    """
    import json
    from pathlib import Path

    from slate.steps.collect import collect

    print(f"events {events_fingerprint}, code {code_fingerprint}")
    values = collect(dataset_config, log, Path(dataset.path), Path(collected.path))
    metrics.metadata.update(values)
    Path(metrics.path).write_text(json.dumps(values), encoding="utf-8")
