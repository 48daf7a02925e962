"""Pipeline step: open the rollout of a pushed release."""

from collections.abc import Mapping
from typing import Any

from slate.config import RolloutConfig, parse_section
from slate.rollout.start import start
from slate.storage import open_store
from slate.tracking.pointer import mirror_channels


def start_rollout(store: str, rollout: Mapping[str, Any], release_id: str) -> str:
    """Start the rollout of ``release_id`` in step shadow; returns the rollout's id."""
    config = parse_section(RolloutConfig, rollout)
    target = open_store(store)
    rollout_id = start(target, release_id, config.steps, by="pipeline")
    problem = mirror_channels(target)
    if problem:
        print(problem, flush=True)
    return rollout_id
