"""What a person may do to a rollout beside the controller, recorded with that person's name."""

from typing import Final

from slate.clock import Clock, isoformat
from slate.errors import ConflictError, RolloutError
from slate.rollout.judge.verdict import Decision, Verdict
from slate.rollout.state import State, Stored, read_state, swap
from slate.rollout.transition import aborted, by_verdict, transition
from slate.rollout.verdicts import Recorded, last_verdict, record
from slate.storage import ObjectStore

_ATTEMPTS: Final = 5


def force(
    store: ObjectStore, rollout_id: str, decision: Decision, by: str, reason: str, clock: Clock
) -> Recorded:
    """Record a verdict of a person; the controller acts on it as on its own.

    Args:
        decision: ``advance`` or ``promote``.

    Raises:
        ConflictError: others keep writing verdicts; try again.
        RolloutError: the rollout could not go there from where it stands.
        StorageError: the store fails.
    """
    for _ in range(_ATTEMPTS):
        state = read_state(store, rollout_id).state
        last = last_verdict(store, rollout_id, state.last_verdict)
        number = (last.number if last else state.last_verdict) + 1
        verdict = _forced(state, decision, by, reason, isoformat(clock.now()))
        move = by_verdict(state, verdict, number, verdict.at)
        if move is None:
            raise RolloutError(
                f"rollout {rollout_id}: step {state.step} is the last one; 'slate rollout promote' goes on"
            )
        transition(state, move, verdict)
        try:
            return record(store, verdict, number)
        except ConflictError:
            continue  # The controller looked in this instant.
    raise ConflictError(f"rollout {rollout_id}: others keep writing verdicts; try again")


def abort(store: ObjectStore, rollout_id: str, by: str, reason: str, clock: Clock) -> Stored:
    """End a rollout. The gateway follows by the controller; whoever calls may tell it besides.

    Raises:
        ConflictError: others keep moving it; try again.
        RolloutError: it has ended already.
        StorageError: the store fails.
    """
    for _ in range(_ATTEMPTS):
        stored = read_state(store, rollout_id)
        after = transition(stored.state, aborted(stored.state, isoformat(clock.now()), by, reason))
        try:
            return swap(store, stored, after)
        except ConflictError:
            continue  # The controller moved it in this instant.
    raise ConflictError(f"rollout {rollout_id}: others keep moving it; try again")


def _forced(state: State, decision: Decision, by: str, reason: str, at: str) -> Verdict:
    step = state.judged()
    return Verdict(
        rollout_id=state.rollout_id,
        step=step.name,
        percent=step.percent,
        at=at,
        decision=decision,
        blind=False,
        reasons=(reason,),
        forced_by=by,
    )
