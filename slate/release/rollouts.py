"""Which rollout is under way: a pointer, ``rollouts/active.json``, that at most one can have."""

import json
from typing import Any, Final, NamedTuple

from slate.errors import ConflictError, NotFoundError, StorageError
from slate.release.layout import ACTIVE_ROLLOUT, ROLLOUTS, STATE_FILE
from slate.storage import ObjectStore

FINISHED: Final = frozenset({"promoted", "aborted", "inconclusive"})


class Pointer(NamedTuple):
    """The last rollout that began. ``ended`` once nothing is left to do for it, the gateway's part included.

    ``generation`` is the object's.
    """

    rollout_id: str
    ended: bool
    generation: int


def read_pointer(store: ObjectStore) -> Pointer | None:
    """The last rollout; None before the first.

    Raises:
        StorageError: the store cannot be read, or the object is no pointer.
    """
    try:
        data, generation = store.read_versioned(ACTIVE_ROLLOUT)
    except NotFoundError:
        return None
    try:
        found = json.loads(data)
        return Pointer(str(found["rollout_id"]), bool(found["ended"]), generation)
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{store.describe(ACTIVE_ROLLOUT)}: names no rollout ({error}); restore an earlier version of it"
        ) from error


def point(store: ObjectStore, rollout_id: str, before: Pointer | None, ended: bool = False) -> Pointer:
    """Make this the last rollout, or say that it ended, if nobody moved the pointer since ``before``.

    Raises:
        ConflictError: somebody did.
    """
    data = json.dumps({"schema": 1, "rollout_id": rollout_id, "ended": ended}, indent=1).encode()
    generation = store.compare_and_swap(ACTIVE_ROLLOUT, data, before.generation if before else None)
    return Pointer(rollout_id, ended, generation)


def active_rollouts(store: ObjectStore) -> list[str]:
    """The rollout under way, if one is. A state that cannot be understood counts.

    Raises:
        StorageError: see :func:`read_pointer`.
    """
    pointer = read_pointer(store)
    if pointer is None or pointer.ended or _finished(store, pointer.rollout_id):
        return []
    return [pointer.rollout_id]


def refuse_while_active(store: ObjectStore) -> None:
    """Only one rollout at a time.

    Raises:
        ConflictError: one is under way; names it.
    """
    for rollout_id in active_rollouts(store):
        raise ConflictError(
            f"rollout {rollout_id} is under way: one at a time; wait for its end, "
            f"or end it with 'slate rollout abort --reason ...'"
        )


def _finished(store: ObjectStore, rollout_id: str) -> bool:
    try:
        state: Any = json.loads(store.read(f"{ROLLOUTS}{rollout_id}/{STATE_FILE}"))
    except ValueError:
        return False
    return isinstance(state, dict) and state.get("status") in FINISHED
