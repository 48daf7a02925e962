"""Which end the truth asks for, and what the store tells of the one that came."""

import math
from pathlib import Path

import pytest

from slate.config import RolloutConfig
from slate.rollout.judge.verdict import Check, Decision, Status, Verdict
from slate.rollout.state import Move, RolloutStatus, State
from slate.rollout.verdicts import record
from slate.simulation.ends import Ended, ended, expected, lift
from slate.simulation.recipe import Truth
from slate.simulation.releases import Candidate
from slate.storage import open_store
from tests.simulation.test_trouble import AT

ABORTED, PROMOTED, INCONCLUSIVE = RolloutStatus.ABORTED, RolloutStatus.PROMOTED, RolloutStatus.INCONCLUSIVE


@pytest.mark.parametrize(
    ("candidate", "objective", "status", "because", "right"),
    [
        ("better", "superiority", PROMOTED, (), True),
        ("better", "superiority", INCONCLUSIVE, (), False),
        ("worse", "superiority", ABORTED, ("engagement",), True),
        ("worse", "superiority", ABORTED, ("repeats",), True),
        ("worse", "superiority", PROMOTED, (), False),
        ("slow", "superiority", ABORTED, ("p99",), True),
        ("slow", "superiority", ABORTED, ("engagement", "p99"), True),
        ("slow", "superiority", ABORTED, ("errors",), False),
        ("broken", "superiority", ABORTED, ("errors",), True),
        ("broken", "superiority", ABORTED, (), False),
        ("same", "superiority", INCONCLUSIVE, (), True),
        ("same", "superiority", PROMOTED, (), False),
        ("same", "non_inferiority", PROMOTED, (), True),
        ("same", "non_inferiority", ABORTED, (), False),
        ("better", "superiority", RolloutStatus.CANARY, (), False),
    ],
)
def test_an_end_is_right_or_it_is_not(
    candidate: str, objective: str, status: RolloutStatus, because: tuple[str, ...], right: bool
) -> None:
    found = Ended(status, "50", "so", because, None)
    assert found.is_as(expected(Candidate(candidate), objective)) is right


@pytest.mark.parametrize(("objective", "less"), [("superiority", 0.0), ("non_inferiority", 0.1)])
def test_what_failed_and_what_was_estimated_comes_from_the_verdicts(
    tmp_path: Path, objective: str, less: float
) -> None:
    store, config = open_store(str(tmp_path)), RolloutConfig(objective=objective, margin=0.1)  # type: ignore[arg-type]
    engagement = Check(
        name="engagement", status=Status.UNSURE, reason="so", stable=2.0, candidate=2.5,
        value=0.5 + 2 * less, low=0.1 + 2 * less, high=0.9 + 2 * less, users=(300, 310),
    )  # fmt: skip
    late = Check(name="p99", status=Status.FAILED, reason="late")
    for number, checks in enumerate(((engagement,), (late,)), 1):
        decision = Decision.HOLD if number == 1 else Decision.ABORT
        verdict = Verdict(
            rollout_id="r", step="50", percent=50, at=AT, decision=decision, blind=False, reasons=("so",),
            checks=checks,
        )  # fmt: skip
        record(store, verdict, number)
    moves = (
        Move(status=RolloutStatus.CANARY, step="50", threshold=5000, at=AT, by="t", reason="on", verdict=1),
        Move(status=ABORTED, step="50", threshold=0, at=AT, by="t", reason="p99: late", verdict=2),
    )
    state = State(
        rollout_id="r", release_id="b", stable_release_id="a", salt="r", steps=(50.0,), sequence=2,
        history=moves, **moves[-1].model_dump(include={"status", "step", "threshold", "at", "by"}),
    )  # fmt: skip
    found = ended(store, state, config)
    assert (found.status, found.reason, found.because) == (ABORTED, "p99: late", ("p99",))
    assert found.estimate is not None
    figures = (found.estimate.value, found.estimate.low, found.estimate.high)
    assert all(math.isclose(a, b) for a, b in zip(figures, (0.25, 0.05, 0.45), strict=True))
    assert found.estimate.users == 610


def test_the_true_lift_is_of_stables_engagement() -> None:
    assert math.isclose(lift(Truth(2.0, 5.0, 10), Truth(3.0, 5.0, 10)), 0.5)
