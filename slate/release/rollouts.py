"""Which rollouts are still under way, read from their state in the store."""

import json
from typing import Final

from slate.errors import NotFoundError
from slate.release.layout import ROLLOUTS, STATE_FILE
from slate.storage import ObjectStore

FINISHED: Final = frozenset({"promoted", "aborted", "inconclusive"})


def active_rollouts(store: ObjectStore) -> list[str]:
    """The ids of rollouts that have not ended, sorted. A state that cannot be understood counts."""
    active = []
    for key in store.list(ROLLOUTS):
        rollout_id, _, name = key.removeprefix(ROLLOUTS).partition("/")
        if name != STATE_FILE:
            continue
        try:
            state = json.loads(store.read(key))
        except NotFoundError:
            continue  # Removed since it was listed.
        except ValueError:
            state = None
        if not isinstance(state, dict) or state.get("status") not in FINISHED:
            active.append(rollout_id)
    return active
