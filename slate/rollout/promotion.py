"""What a promotion does to the channel ``stable``, and what is left to do when a rollout has ended."""

from collections.abc import Callable

from slate.clock import Clock
from slate.errors import ReleaseError
from slate.release.channels import STABLE, move_channel, read_channel
from slate.release.rollouts import Pointer, point
from slate.rollout.state import RolloutStatus, State
from slate.storage import ObjectStore

_BY = "rollout"


def move_stable(store: ObjectStore, state: State, clock: Clock | None = None) -> str | None:
    """Point ``stable`` at the release of a rollout that is being promoted. Doing it again changes nothing.

    Returns:
        why it cannot be; None where it is done.

    Raises:
        ConflictError: somebody else moved it in this instant; look again.
        StorageError: the store fails.
    """
    channel = read_channel(store, STABLE)
    stands = channel.release_id if channel else "nothing"
    if channel is None or stands not in (state.stable_release_id, state.release_id):
        return f"channel stable was moved from {state.stable_release_id} to {stands} during the rollout"
    try:
        move_channel(
            store,
            STABLE,
            state.release_id,
            reason=f"rollout {state.rollout_id} promoted it",
            by=_BY,
            expected_sequence=channel.sequence,
            clock=clock,
        )
    except ReleaseError as error:
        return str(error)
    return None


def finish(
    store: ObjectStore,
    state: State,
    pointer: Pointer,
    clock: Clock | None = None,
    after_promotion: Callable[[], None] = lambda: None,
) -> None:
    """Do what is left after the end, then say so in the pointer. Doing it again changes nothing.

    An abort during a promotion takes ``stable`` back to the release that it was.

    Raises:
        StorageError: the store fails; the rest is done next time.
    """
    if state.status is RolloutStatus.PROMOTED:
        after_promotion()
    elif any(move.status is RolloutStatus.PROMOTING for move in state.history):
        _take_back(store, state, clock)
    point(store, state.rollout_id, pointer, ended=True)


def _take_back(store: ObjectStore, state: State, clock: Clock | None) -> None:
    channel = read_channel(store, STABLE)
    if channel is not None and channel.release_id == state.release_id:
        move_channel(
            store,
            STABLE,
            state.stable_release_id,
            reason=f"rollout {state.rollout_id} was aborted while it was promoted",
            by=_BY,
            expected_sequence=channel.sequence,
            clock=clock,
        )
