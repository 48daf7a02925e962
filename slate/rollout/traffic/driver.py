"""What a controller asks of whatever carries the traffic."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from slate.rollout.judge.evidence import Block, Requests, Step

#: Of so many buckets, those below a threshold meet the candidate.
BUCKETS: Final = 10_000


@dataclass(frozen=True)
class Split:
    """Who meets which variant. Outside a rollout all are empty and 0: everybody meets stable.

    Attributes:
        rollout_id: also the salt of the buckets.
        step: named in every exposure, so that observations know theirs.
        threshold: buckets below it, of 10,000, meet the candidate.
        mirror_percent: how many of stable's requests are copied to the shadow, 0 to 100.
    """

    rollout_id: str = ""
    step: str = ""
    threshold: int = 0
    mirror_percent: float = 0.0


class Driver(Protocol):
    """One way to carry traffic. What fails raises SlateError and may be tried again: moves are idempotent."""

    def apply(self, split: Split) -> None:
        """Make it so; returns when the gateway has been told, and requests follow within a second."""
        ...

    def applied(self) -> Split | None:
        """What the gateway was last told; None where nobody told it anything."""
        ...

    def answering(self, variant: str) -> frozenset[str]:
        """The releases that the ready replicas of a variant answer with; empty where none is ready."""
        ...

    def blocks(self, step: Step, now: datetime) -> Sequence[Block]:
        """What the gateway counted since the step began, as :class:`slate.rollout.judge.evidence.Gateway`."""
        ...

    def shadow(self, step: Step, now: datetime) -> Requests:
        """What the gateway counted of copied requests since the step began."""
        ...

    def printed(self, split: Split) -> str:
        """The same move by hand: commands and manifests to read, or to paste into a shell."""
        ...
