"""Pipeline step: open the rollout of a pushed release."""

from collections.abc import Mapping
from typing import Any

from slate.config import RolloutConfig, parse_section
from slate.rollout.start import start
from slate.storage import open_store


def start_rollout(store: str, rollout: Mapping[str, Any], release_id: str) -> str:
    """Start the rollout of ``release_id`` in step shadow; returns the rollout's id."""
    config = parse_section(RolloutConfig, rollout)
    return start(open_store(store), release_id, config.steps, by="pipeline")
