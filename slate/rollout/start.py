"""Open a rollout: its first state, written once, and the channels its servers follow."""

import json
from collections.abc import Sequence
from typing import Any

from slate.clock import Clock, SystemClock, isoformat
from slate.release.channels import CANDIDATE, SHADOW, move_channel
from slate.storage import ObjectStore


def start(
    store: ObjectStore, release_id: str, steps: Sequence[float], by: str, clock: Clock | None = None
) -> str:
    """Start the rollout of a release in step ``shadow``: no user sees it yet.

    Args:
        steps: the ramp, in percent of users.
        by: who or what starts it.

    Returns:
        the rollout's id, also the salt of its user buckets.

    Raises:
        ConflictError: a rollout of this release was started in the same instant.
        ReleaseError: the release is not sealed, or its verdict is not ``passed``.
    """
    at = isoformat((clock or SystemClock()).now())
    rollout_id = f"r-{release_id}-{at.replace('-', '').replace(':', '').replace('.', '')}"
    state: dict[str, Any] = {
        "schema": 1,
        "rollout_id": rollout_id,
        "release_id": release_id,
        "salt": rollout_id,
        "steps": [float(s) for s in steps],
        "status": SHADOW,
        "threshold": 0,
        "sequence": 1,
        "history": [{"status": SHADOW, "threshold": 0, "at": at, "by": by, "reason": "started"}],
    }
    for channel in (SHADOW, CANDIDATE):
        move_channel(store, channel, release_id, reason=f"rollout {rollout_id}", by=by)
    store.write_new(f"rollouts/{rollout_id}/state.json", json.dumps(state, indent=1, sort_keys=True).encode())
    return rollout_id
