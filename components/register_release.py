"""Make the release a version of the registered model."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def register_release(tracking: dict[str, Any], run_id: str, job: str, store: str, release_id: str) -> str:
    """Empty, or why the release is not registered."""
    from slate.steps.register_release import register_release

    return register_release(tracking, run_id, job, store, release_id)
