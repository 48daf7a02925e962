"""What a simulation found, as plain data."""

from dataclasses import asdict, dataclass
from typing import Any

from slate.config import SlateConfig
from slate.rollout.state import Move
from slate.simulation.course import Course
from slate.simulation.ends import End, Ended, ended, expected, lift
from slate.simulation.prepare import Prepared
from slate.simulation.releases import Pair
from slate.storage import open_store


@dataclass(frozen=True)
class Users:
    """What users went through; times in ms, real, from when a request was due."""

    asked: int
    failed: int
    events: int
    untold: int
    median_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True)
class Outcome:
    """One simulated rollout. ``moves`` go with real ``seconds`` from the beginning; ``abort_s`` is how long
    users met a candidate that was killed."""

    candidate: str
    rollout_id: str
    end: Ended
    wanted: End
    releases: Pair
    true_lift: float
    users: Users
    moves: tuple[tuple[float, Move], ...]
    seconds: float
    abort_s: float | None

    @property
    def as_expected(self) -> bool:
        """Whether the rollout ended as the truth asks for."""
        return self.end.is_as(self.wanted)

    def plain(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "candidate": self.candidate,
            "as_expected": self.as_expected,
            "rollout_id": self.rollout_id,
            "expected": {"status": str(self.wanted.status), "check": self.wanted.check},
            "ended": self.end.plain(),
            "truth": {
                "stable": asdict(self.releases.stable_truth),
                "candidate": asdict(self.releases.candidate_truth),
                "lift": self.true_lift,
            },
            "releases": {"stable": self.releases.stable, "candidate": self.releases.candidate},
            "users": asdict(self.users),
            "moves": [{"seconds": round(at, 2), **move.model_dump(mode="json")} for at, move in self.moves],
            "seconds": round(self.seconds, 2),
            "abort_s": None if self.abort_s is None else round(self.abort_s, 2),
        }


def outcome(prepared: Prepared, config: SlateConfig, course: Course, killed: list[float]) -> Outcome | None:
    """What became of a course; None where the rollout was never seen.

    Args:
        killed: when the candidate was killed, by the monotonic clock.

    Raises:
        RolloutError, StorageError: a verdict cannot be read.
    """
    state, traffic = course.state, course.traffic
    if state is None:
        return None
    late = course.began + course.moves[-1] - killed[0] if killed and state.ended else None
    return Outcome(
        candidate=str(prepared.candidate),
        rollout_id=state.rollout_id,
        end=ended(open_store(prepared.store), state, config.rollout),
        wanted=expected(prepared.candidate, config.rollout.objective),
        releases=prepared.releases,
        true_lift=lift(prepared.releases.stable_truth, prepared.releases.candidate_truth),
        users=Users(
            traffic.asked,
            traffic.failed,
            traffic.events,
            traffic.untold,
            traffic.quantile(0.5),
            traffic.quantile(0.99),
        ),
        moves=tuple(zip(course.moves, state.history, strict=True)),
        seconds=course.seconds,
        abort_s=late,
    )
