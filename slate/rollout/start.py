"""Open a rollout: the channels its servers follow, its first state, and the pointer that makes it the one."""

from slate.clock import Clock, SystemClock, isoformat
from slate.config import RolloutConfig
from slate.errors import ConflictError, ReleaseError
from slate.release.channels import CANDIDATE, SHADOW, STABLE, move_channel, read_channel
from slate.release.rollouts import point, read_pointer, refuse_while_active
from slate.release.verify import read_manifest
from slate.rollout.judge.evidence import SHADOW_STEP
from slate.rollout.promotion import finish
from slate.rollout.state import Move, RolloutStatus, State, create, read_state, state_key
from slate.storage import ObjectStore


def start(
    store: ObjectStore, release_id: str, config: RolloutConfig, by: str, clock: Clock | None = None
) -> str:
    """Start the rollout of a release in step ``shadow``: no user sees it yet.

    Args:
        config: the ramp, and whether shares move by fixed steps or by sampling.
        by: who or what starts it.

    Returns:
        the rollout's id, also the salt of its user buckets.

    Raises:
        ConflictError: another rollout is under way, or was started in the same instant.
        NotFoundError: the store has no such sealed release.
        ReleaseError: ``stable`` is empty, is this release already, or could not go to it; or the verdict of
            the release is not ``passed``.
    """
    refuse_while_active(store)
    _finish_last(store, clock)
    stable = _stable_before(store, release_id)
    at = isoformat((clock or SystemClock()).now())
    rollout_id = f"r-{release_id}-{at.replace('-', '').replace(':', '').replace('.', '')}"
    for channel in (SHADOW, CANDIDATE):
        move_channel(store, channel, release_id, reason=f"rollout {rollout_id}", by=by, clock=clock)
    before = read_pointer(store)
    refuse_while_active(store)
    create(store, _first(rollout_id, release_id, stable, config, at, by))
    try:
        point(store, rollout_id, before)
    except ConflictError as error:
        store.delete(state_key(rollout_id))
        raise ConflictError(
            "another rollout was started in the same instant; see 'slate rollout status'"
        ) from error
    return rollout_id


def _finish_last(store: ObjectStore, clock: Clock | None) -> None:
    """What a controller would have done after the end of the last rollout, if there was one."""
    pointer = read_pointer(store)
    if pointer is not None and not pointer.ended:
        finish(store, read_state(store, pointer.rollout_id).state, pointer, clock)


def _stable_before(store: ObjectStore, release_id: str) -> str:
    """The release that users have now, if they could go on to this one."""
    verdict = read_manifest(store, release_id).verdict.status
    if verdict != "passed":
        raise ReleaseError(
            f"release {release_id} has verdict {verdict!r}; only a passed release is rolled out"
        )
    stable = read_channel(store, STABLE)
    if stable is None:
        raise ReleaseError(
            "channel stable is empty, so there is nothing to compare with; "
            f"'slate releases promote {release_id}' makes this release the first one"
        )
    if stable.release_id == release_id:
        raise ReleaseError(f"release {release_id} is stable already: there is nothing to roll out")
    if release_id < stable.release_id and not stable.was_at(release_id):
        raise ReleaseError(
            f"release {release_id} is older than {stable.release_id}, which is stable, and never was stable "
            "itself, so it could not be promoted; train again"
        )
    return stable.release_id


def _first(rollout_id: str, release_id: str, stable: str, config: RolloutConfig, at: str, by: str) -> State:
    move = Move(status=RolloutStatus.SHADOW, step=SHADOW_STEP, threshold=0, at=at, by=by, reason="started")
    steps = config.steps if config.allocation == "steps" else (100 * config.thompson.minimum,)
    return State(
        rollout_id=rollout_id,
        release_id=release_id,
        stable_release_id=stable,
        salt=rollout_id,
        allocation=config.allocation,
        steps=steps,
        status=move.status,
        step=move.step,
        threshold=move.threshold,
        sequence=1,
        at=at,
        by=by,
        history=(move,),
    )
