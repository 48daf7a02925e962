"""What the judge is given: figures of both arms, and what could not be had."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, NamedTuple, Protocol, TypeVar

from slate.rollout.judge.cuped import Pair
from slate.rollout.judge.sequences import Sample
from slate.rollout.judge.shadow import Likeness

T = TypeVar("T")

SHADOW_STEP = "shadow"
#: The one step in which the candidate's share moves.
MOVING_STEP = "thompson"


class Arms(NamedTuple, Generic[T]):
    """One figure of each arm, by the variant that users were assigned to."""

    stable: T
    candidate: T


class Allocated(NamedTuple):
    """Users whose first slate was shown while the candidate's share was ``share``, 0 to 1."""

    share: float
    users: Arms[int]


@dataclass(frozen=True)
class Step:
    """Where a rollout stands. ``percent`` of users get the candidate, 0 in step shadow.

    ``moved`` is when ``percent`` last changed in this step, for shares that move; None where it never did.
    """

    rollout_id: str
    name: str
    percent: float
    started: datetime
    rollout_started: datetime
    moved: datetime | None = None


@dataclass(frozen=True)
class Requests:
    """What a gateway saw of one arm in one block; ``p99_ms`` is None where it cannot tell.

    ``errors`` are those that users got: statuses from 500, resets and timeouts.
    """

    requests: int
    errors: int
    p99_ms: float | None


@dataclass(frozen=True)
class Block:
    """Both arms in the ``seconds`` from ``at``: what shakes both at once cancels out in their difference."""

    at: datetime
    seconds: float
    stable: Requests
    candidate: Requests


class Gateway(Protocol):
    """Whoever knows what a gateway counted."""

    def blocks(self, step: Step, now: datetime) -> Sequence[Block]:
        """The blocks of a step so far, by time, without gaps, each over.

        Raises:
            SlateError: the gateway cannot be asked.
        """
        ...


@dataclass(frozen=True)
class Evidence:
    """All that one look sees; None is what could not be had.

    ``users`` were shown a slate in this step, ``crossed`` of them by both variants; ``newest`` is the last
    instant the log knows of. ``engagement`` and ``rates`` hold a user once, when the time is over; the
    covariate is the user's engagement before the rollout.

    Where shares move, users belong to the variant of their first slate. ``allocated`` are they by the share
    that was logged with it, and ``crossed`` those that were shown a variant that was not their bucket's.
    """

    newest: datetime | None = None
    users: Arms[int] | None = None
    crossed: int = 0
    allocated: tuple[Allocated, ...] | None = None
    engagement: Arms[Pair] | None = None
    rates: Mapping[str, Arms[Sample]] = field(default_factory=dict)
    blocks: Sequence[Block] | None = None
    shadow: Likeness | None = None
    problems: tuple[str, ...] = ()
