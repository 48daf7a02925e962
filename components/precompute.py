"""Compute the slates of one partition of active users ahead."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def precompute(
    batch: dict[str, Any],
    feedback: dict[str, Any],
    store: str,
    partition: str,
    shared: bool,
) -> str:
    """What was done, as JSON."""
    import json

    from slate.steps.precompute import precompute

    return json.dumps(precompute(batch, feedback, store, partition, shared=shared))
