"""Open a rollout of the new release."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def start_rollout(store: str, rollout: dict[str, Any], release_id: str) -> str:
    """The rollout id."""
    from slate.steps.start_rollout import start_rollout

    return start_rollout(store, rollout, release_id)
