"""Where a rollout stands, and every move that brought it there: ``rollouts/<id>/state.json``.

Which moves are allowed is for :mod:`slate.rollout.transition`; here a state is read, and swapped.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slate.config import describe
from slate.errors import RolloutError
from slate.release.layout import ROLLOUTS, STATE_FILE
from slate.release.manifest import Instant, canonical_json
from slate.rollout.judge.evidence import MOVING_STEP, SHADOW_STEP, Step
from slate.rollout.traffic.driver import BUCKETS, Split
from slate.storage import ObjectStore


class RolloutStatus(StrEnum):
    """``promoting``: stable moves to the release, and users stay where they are until it has."""

    SHADOW = "shadow"
    CANARY = "canary"
    PROMOTING = "promoting"
    PROMOTED = "promoted"
    ABORTED = "aborted"
    INCONCLUSIVE = "inconclusive"


#: What a rollout does not leave again.
ENDS: Final = frozenset({RolloutStatus.PROMOTED, RolloutStatus.ABORTED, RolloutStatus.INCONCLUSIVE})


class Move(BaseModel):
    """One move: where to, when, by whom and why.

    ``threshold`` is of 10,000 buckets; ``verdict`` is the number of the recorded verdict that allowed the
    move, null where none was needed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: RolloutStatus
    step: str
    threshold: int = Field(ge=0, le=BUCKETS)
    at: Instant
    by: str
    reason: str
    verdict: int | None = None


class State(BaseModel):
    """One rollout. ``status``, ``step``, ``threshold``, ``at`` and ``by`` are those of its last move, and
    ``sequence`` counts the moves. After the end, ``step`` is where it ended.

    ``steps`` are in percent of users, named as :func:`step_name` does. With the ``allocation`` ``thompson``
    there is one step after shadow, of that name, and ``steps`` holds the share it begins with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_: int = Field(default=1, alias="schema")
    rollout_id: str
    release_id: str
    stable_release_id: str
    salt: str
    allocation: Literal["steps", "thompson"] = "steps"
    steps: tuple[float, ...]
    status: RolloutStatus
    step: str
    threshold: int
    sequence: int
    at: Instant
    by: str
    history: tuple[Move, ...] = Field(min_length=1)

    @property
    def ended(self) -> bool:
        """Whether it is over: promoted, aborted or inconclusive."""
        return self.status in ENDS

    @property
    def names(self) -> tuple[str, ...]:
        """Of all steps but shadow, in their order."""
        return (
            (MOVING_STEP,) if self.allocation == "thompson" else tuple(step_name(each) for each in self.steps)
        )

    @property
    def next_step(self) -> str | None:
        """The name of the step after this one; None after the last."""
        names = (SHADOW_STEP, *self.names)
        place = names.index(self.step) + 1
        return names[place] if place < len(names) else None

    def first_threshold(self, step: str) -> int:
        """Of 10,000 buckets, those that a step begins with."""
        return round(self.steps[self.names.index(step)] * BUCKETS / 100)

    @property
    def last_verdict(self) -> int:
        """The number of the last verdict that allowed a move; 0 before the first."""
        return max((move.verdict or 0 for move in self.history), default=0)

    def judged(self) -> Step:
        """The present step as the judge knows it."""
        here = [move for move in self.history if move.step == self.step]
        return Step(
            rollout_id=self.rollout_id,
            name=self.step,
            percent=self._percent(),
            started=datetime.fromisoformat(here[0].at),
            rollout_started=datetime.fromisoformat(self.history[0].at),
            moved=_moved(here),
        )

    def _percent(self) -> float:
        if self.step == SHADOW_STEP:
            return 0.0
        if self.step == MOVING_STEP:
            return 100 * self.threshold / BUCKETS
        return self.steps[self.names.index(self.step)]

    def split(self, mirror_percent: float) -> Split:
        """Who meets which variant, as it is now; nobody meets another than stable after the end.

        Args:
            mirror_percent: of stable's requests that are copied in step shadow.
        """
        if self.ended:
            return Split()
        mirrored = mirror_percent if self.status is RolloutStatus.SHADOW else 0.0
        return Split(self.salt, self.step, self.threshold, mirrored)

    def moved(self, move: Move) -> "State":
        """The state after one more move, whatever it is: see :func:`slate.rollout.transition.transition`."""
        present = move.model_dump(include={"status", "step", "threshold", "at", "by"})
        return self.model_copy(
            update={**present, "sequence": self.sequence + 1, "history": (*self.history, move)}
        )

    def to_bytes(self) -> bytes:
        """Its JSON in the store."""
        return canonical_json(self.model_dump(mode="json", by_alias=True))


class Stored(NamedTuple):
    """A state and the generation of its object."""

    state: State
    generation: int


def step_name(percent: float) -> str:
    """As exposures, verdicts and the gateway name a step.

    >>> step_name(5.0), step_name(0.5)
    ('5', '0.5')
    """
    return f"{percent:g}"


def state_key(rollout_id: str) -> str:
    """Where a rollout's state lies."""
    return f"{ROLLOUTS}{rollout_id}/{STATE_FILE}"


def read_state(store: ObjectStore, rollout_id: str) -> Stored:
    """The state of a rollout.

    Raises:
        NotFoundError: there is no such rollout.
        RolloutError: its object is no state, or contradicts itself.
        StorageError: the store cannot be read.
    """
    key = state_key(rollout_id)
    data, generation = store.read_versioned(key)
    try:
        state = State.model_validate_json(data)
    except ValidationError as error:
        raise RolloutError(f"{store.describe(key)}: {describe(error)}; {_REPAIR}") from error
    problem = _contradiction(state, rollout_id)
    if problem:
        raise RolloutError(f"{store.describe(key)}: {problem}; {_REPAIR}")
    return Stored(state, generation)


def create(store: ObjectStore, state: State) -> Stored:
    """Write the first state of a rollout.

    Raises:
        ConflictError: there is one.
    """
    return Stored(state, store.compare_and_swap(state_key(state.rollout_id), state.to_bytes(), None))


def swap(store: ObjectStore, before: Stored, after: State) -> Stored:
    """Write the next state, if nobody else wrote one since ``before`` was read.

    Raises:
        ConflictError: somebody did; read again, then decide again.
    """
    key = state_key(after.rollout_id)
    return Stored(after, store.compare_and_swap(key, after.to_bytes(), before.generation))


def _moved(here: Sequence[Move]) -> datetime | None:
    """When the threshold last changed within a step; None where it never did."""
    changes = [after.at for before, after in pairwise(here) if before.threshold != after.threshold]
    return datetime.fromisoformat(changes[-1]) if changes else None


_REPAIR: Final = "restore an earlier version of the object"


def _contradiction(state: State, rollout_id: str) -> str | None:
    last: dict[str, Any] = state.history[-1].model_dump(exclude={"reason", "verdict"})
    names = {SHADOW_STEP, *state.names}
    if state.rollout_id != rollout_id:
        return f"is of rollout {state.rollout_id}"
    if state.sequence != len(state.history):
        return f"has sequence {state.sequence} and {len(state.history)} moves"
    if any(getattr(state, name) != value for name, value in last.items()):
        return "its last move is not where it stands"
    unknown = sorted({move.step for move in state.history} - names)
    return f"has no step {unknown[0]!r}" if unknown else None
