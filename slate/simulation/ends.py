"""How a rollout in a simulation has to end, and how it did."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from slate.config import RolloutConfig
from slate.rollout.judge.engagement import ENGAGEMENT
from slate.rollout.judge.guardrails import ERRORS, P99
from slate.rollout.judge.verdict import Check, Status
from slate.rollout.state import RolloutStatus, State
from slate.rollout.verdicts import last_verdict, read_verdict, verdicts_back
from slate.simulation.recipe import Truth
from slate.simulation.releases import Candidate
from slate.storage import ObjectStore


@dataclass(frozen=True)
class End:
    """A status, and the check that must have led there; None where any may."""

    status: RolloutStatus
    check: str | None = None


_ENDS: Final = {
    Candidate.BETTER: End(RolloutStatus.PROMOTED),
    Candidate.WORSE: End(RolloutStatus.ABORTED),
    Candidate.SLOW: End(RolloutStatus.ABORTED, P99),
    Candidate.BROKEN: End(RolloutStatus.ABORTED, ERRORS),
}


def expected(candidate: Candidate, objective: str) -> End:
    """The end that the truth asks for."""
    if candidate is Candidate.SAME:
        superiority = objective == "superiority"
        return End(RolloutStatus.INCONCLUSIVE if superiority else RolloutStatus.PROMOTED)
    return _ENDS[candidate]


@dataclass(frozen=True)
class Estimate:
    """What the judge made of it at its last look that knew: the candidate's engagement over stable's, less 1,
    within bounds that hold at all looks together. ``users`` are those of both arms."""

    step: str
    value: float
    low: float
    high: float
    users: int


@dataclass(frozen=True)
class Ended:
    """How a rollout ended, or where it was left. ``because`` names the checks that failed then."""

    status: RolloutStatus
    step: str
    reason: str
    because: tuple[str, ...]
    estimate: Estimate | None

    def is_as(self, end: End) -> bool:
        """Whether it is the end that was to come."""
        return self.status is end.status and (end.check is None or end.check in self.because)

    def plain(self) -> dict[str, Any]:
        """JSON types."""
        return asdict(self) | {"status": str(self.status), "because": list(self.because)}


def lift(stable: Truth, candidate: Truth) -> float:
    """The true engagement of the candidate's slates over that of stable's, less 1."""
    return candidate.engagement / stable.engagement - 1


def ended(store: ObjectStore, state: State, config: RolloutConfig) -> Ended:
    """What the store tells of a rollout.

    Raises:
        RolloutError, StorageError: a verdict cannot be read.
    """
    last = state.history[-1]
    because: tuple[str, ...] = ()
    if last.verdict is not None:
        checks = read_verdict(store, state.rollout_id, last.verdict).checks
        because = tuple(check.name for check in checks if check.status is Status.FAILED)
    return Ended(state.status, state.step, last.reason, because, _estimate(store, state, config))


def _estimate(store: ObjectStore, state: State, config: RolloutConfig) -> Estimate | None:
    newer = last_verdict(store, state.rollout_id, state.last_verdict)
    last = newer.number if newer else state.last_verdict
    for _, verdict in verdicts_back(store, state.rollout_id, last):
        for check in verdict.checks:
            found = _relative(check, verdict.step, config) if check.name == ENGAGEMENT else None
            if found is not None:
                return found
    return None


def _relative(check: Check, step: str, config: RolloutConfig) -> Estimate | None:
    figures = (check.value, check.low, check.high)
    if check.stable is None or check.stable <= 0 or None in figures:
        return None
    # For non-inferiority the check's figures are of candidate less (1 - margin) of stable.
    less = config.margin if config.objective == "non_inferiority" else 0.0
    value, low, high = (float(figure or 0.0) / check.stable - less for figure in figures)
    return Estimate(step, value, low, high, sum(check.users or ()))
