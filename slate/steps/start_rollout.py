"""Pipeline step: open the rollout of a pushed release."""

from collections.abc import Mapping
from typing import Any

from slate.config import RolloutConfig, parse_section
from slate.release.channels import STABLE, read_channel
from slate.rollout.start import start
from slate.storage import open_store
from slate.tracking.pointer import mirror_channels


def start_rollout(store: str, rollout: Mapping[str, Any], release_id: str) -> str:
    """Start the rollout of ``release_id`` in step shadow.

    Returns:
        the rollout's id; the empty string where the release is stable already, as the very first one is.

    Raises:
        ConflictError, ReleaseError: see :func:`slate.rollout.start.start`.
    """
    config = parse_section(RolloutConfig, rollout)
    target = open_store(store)
    stable = read_channel(target, STABLE)
    if stable is not None and stable.release_id == release_id:
        print(f"release {release_id} is stable already: there is nothing to roll out", flush=True)
        return ""
    rollout_id = start(target, release_id, config, by="pipeline")
    problem = mirror_channels(target)
    if problem:
        print(problem, flush=True)
    return rollout_id
