"""Which moves are allowed: ``shadow -> 1 -> 5 -> 25 -> 50 -> promoted | aborted | inconclusive``.

More users meet the candidate only by a recorded verdict that says so. Back to nobody is always allowed, but
for a rollout that has ended.
"""

from typing import Final

from slate.errors import RolloutError
from slate.rollout.judge.verdict import Decision, Verdict
from slate.rollout.state import ENDS, Move, RolloutStatus, State

#: Who moves, where no person does.
CONTROLLER: Final = "controller"


def transition(state: State, move: Move, verdict: Verdict | None = None) -> State:
    """The state after a move.

    Args:
        verdict: the recorded verdict that ``move.verdict`` numbers; None where it numbers none.

    Raises:
        RolloutError: the move is not allowed.
    """
    problem = _problem(state, move, verdict)
    if problem:
        raise RolloutError(
            f"rollout {state.rollout_id}: cannot go from {_where(state)} to {_where(move)}: {problem}"
        )
    return state.moved(move)


def by_verdict(state: State, verdict: Verdict, number: int, at: str) -> Move | None:
    """The move that a verdict asks for; None where everything stays as it is."""
    by, reason = verdict.forced_by or CONTROLLER, "; ".join(verdict.reasons)

    def move(status: RolloutStatus, step: str, threshold: int) -> Move:
        return Move(
            status=status, step=step, threshold=threshold, at=at, by=by, reason=reason, verdict=number
        )

    if verdict.decision is Decision.ABORT:
        return move(RolloutStatus.ABORTED, state.step, 0)
    if verdict.decision is Decision.INCONCLUSIVE:
        return move(RolloutStatus.INCONCLUSIVE, state.step, 0)
    if verdict.decision is Decision.PROMOTE:
        return move(RolloutStatus.PROMOTING, state.step, state.threshold)
    if verdict.decision is Decision.ADVANCE and state.next_step is not None:
        return move(RolloutStatus.CANARY, state.next_step, state.first_threshold(state.next_step))
    if verdict.allocation is not None and verdict.allocation.threshold != state.threshold:
        moved = move(RolloutStatus.CANARY, state.step, verdict.allocation.threshold)
        return moved.model_copy(update={"reason": verdict.allocation.reason})
    return None


def aborted(state: State, at: str, by: str, reason: str) -> Move:
    """The move of a person who ends a rollout."""
    return Move(
        status=RolloutStatus.ABORTED, step=state.step, threshold=0, at=at, by=by, reason=reason, verdict=None
    )


def promoted(state: State, at: str) -> Move:
    """The move at the end of a promotion, when stable answers with the release."""
    return Move(
        status=RolloutStatus.PROMOTED,
        step=state.step,
        threshold=0,
        at=at,
        by=CONTROLLER,
        reason=f"stable answers with {state.release_id}",
        verdict=None,
    )


def _problem(state: State, move: Move, verdict: Verdict | None) -> str | None:
    if state.status in ENDS:
        return "it has ended; start another one"
    if (verdict is None) != (move.verdict is None):
        return "the move numbers a verdict that is not given, or the other way round"
    if verdict is not None:
        problem = _of_another(state, move, verdict)
        if problem:
            return problem
    if not move.reason or not move.by:
        return "nobody says who moves and why"
    if move.status in ENDS:
        return _end(state, move, verdict)
    if move.status is RolloutStatus.SHADOW or state.status is RolloutStatus.PROMOTING:
        return "there is no such way"
    if verdict is None:
        return "no recorded verdict allows it"
    return (
        _promotes(state, move, verdict)
        if move.status is RolloutStatus.PROMOTING
        else _climbs(state, move, verdict)
    )


def _of_another(state: State, move: Move, verdict: Verdict) -> str | None:
    if verdict.rollout_id != state.rollout_id:
        return f"verdict {move.verdict} is of rollout {verdict.rollout_id}"
    if verdict.step != state.step:
        return f"verdict {move.verdict} is of step {verdict.step}"
    if (move.verdict or 0) <= state.last_verdict:
        return f"verdict {move.verdict} was acted on already"
    return None


def _end(state: State, move: Move, verdict: Verdict | None) -> str | None:
    if move.threshold or move.step != state.step:
        return "an end is where it was, with nobody on the candidate"
    if move.status is RolloutStatus.PROMOTED:
        return None if state.status is RolloutStatus.PROMOTING else "stable has not moved to the release"
    if move.status is RolloutStatus.ABORTED:
        said = verdict is None or verdict.decision is Decision.ABORT
        return None if said else _says(move, verdict)
    if state.status is RolloutStatus.PROMOTING:
        return "it is being promoted"
    said = verdict is not None and verdict.decision is Decision.INCONCLUSIVE
    return None if said else _says(move, verdict)


def _promotes(state: State, move: Move, verdict: Verdict) -> str | None:
    if state.status is not RolloutStatus.CANARY:
        return "no user has met the candidate"
    if (move.step, move.threshold) != (state.step, state.threshold):
        return "users stay where they are until stable has the release"
    if verdict.decision is not Decision.PROMOTE:
        return _says(move, verdict)
    if state.next_step is not None and verdict.forced_by is None:
        return f"step {state.next_step} comes first"
    return None


def _climbs(state: State, move: Move, verdict: Verdict) -> str | None:
    if state.status is RolloutStatus.CANARY and move.step == state.step:
        allowed = verdict.decision is Decision.HOLD and verdict.allocation is not None
        if not allowed or verdict.allocation is None:
            return _says(move, verdict)
        if verdict.allocation.threshold != move.threshold:
            return f"verdict {move.verdict} allows threshold {verdict.allocation.threshold}"
        return None
    if state.next_step is None or move.step != state.next_step:
        return f"the step after {state.step} is {state.next_step}"
    if verdict.decision is not Decision.ADVANCE:
        return _says(move, verdict)
    first = state.first_threshold(move.step)
    return None if move.threshold == first else f"step {move.step} has threshold {first}"


def _says(move: Move, verdict: Verdict | None) -> str:
    return f"verdict {move.verdict} says {verdict.decision}" if verdict else "no recorded verdict allows it"


def _where(of: State | Move) -> str:
    return f"{of.status} (step {of.step}, threshold {of.threshold})"
