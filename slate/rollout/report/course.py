"""What the store tells of one rollout: its state, its verdicts, and what the gateway counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from slate.errors import NotFoundError, SlateError
from slate.release.rollouts import read_pointer
from slate.rollout.blocks import Counted, read_blocks
from slate.rollout.judge.evidence import SHADOW_STEP
from slate.rollout.state import State, read_state
from slate.rollout.verdicts import Recorded, last_verdict, read_verdict
from slate.storage import ObjectStore

#: A look every few seconds for weeks is more than anybody reads: so many of them, evenly spread, are read,
#: besides the last ones and all that moved something.
_SPREAD: Final = 400
_LAST: Final = 20


@dataclass(frozen=True)
class Course:
    """``verdicts`` are some of ``looks`` in all; ``blocks`` are by step. ``problems`` say what could not be
    read."""

    state: State
    looks: int
    verdicts: tuple[Recorded, ...]
    blocks: Mapping[str, Sequence[Counted]]
    problems: tuple[str, ...]

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps that it has been in, in their order."""
        return tuple(dict.fromkeys(move.step for move in self.state.history))


def read_course(store: ObjectStore, rollout_id: str | None = None) -> Course:
    """Read a rollout; what cannot be read besides its state is said, not raised.

    Args:
        rollout_id: the last one that began without.

    Raises:
        NotFoundError: there is no such rollout, or none at all.
        RolloutError: its state cannot be understood.
        StorageError: the store cannot be read.
    """
    if rollout_id is None:
        pointer = read_pointer(store)
        if pointer is None:
            raise NotFoundError(
                f"{store.uri}: no rollout has begun; start one with 'slate rollout start RELEASE'"
            )
        rollout_id = pointer.rollout_id
    state = read_state(store, rollout_id).state
    problems: list[str] = []
    looks, verdicts = _verdicts(store, state, problems)
    blocks: dict[str, Sequence[Counted]] = {}
    for step in dict.fromkeys((SHADOW_STEP, *(move.step for move in state.history))):
        try:
            blocks[step] = read_blocks(store, rollout_id, step)
        except SlateError as error:
            problems.append(str(error))
    return Course(state, looks, verdicts, blocks, tuple(problems))


def _verdicts(store: ObjectStore, state: State, problems: list[str]) -> tuple[int, tuple[Recorded, ...]]:
    try:
        last = last_verdict(store, state.rollout_id, state.last_verdict)
    except SlateError as error:
        problems.append(str(error))
        return state.last_verdict, ()
    looks = last.number if last else state.last_verdict
    wanted = {int(each) for each in np.linspace(1, looks, min(looks, _SPREAD)).round()}
    wanted |= set(range(max(looks - _LAST, 0) + 1, looks + 1))
    wanted |= {move.verdict for move in state.history if move.verdict}
    found = []
    for number in sorted(wanted):
        try:
            found.append(Recorded(number, read_verdict(store, state.rollout_id, number)))
        except SlateError as error:
            problems.append(str(error))
    return looks, tuple(found)
