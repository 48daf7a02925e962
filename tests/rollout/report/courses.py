"""Whole rollouts in a store, as the controller leaves them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from slate.clock import isoformat
from slate.release.rollouts import point
from slate.rollout.blocks import BlockLog, Counted
from slate.rollout.judge.evidence import Block, Requests
from slate.rollout.judge.verdict import Allocation, Check, Decision, Status, Verdict
from slate.rollout.state import Move, RolloutStatus, State, create
from slate.rollout.verdicts import record
from slate.storage import LocalStore

START = datetime(2026, 6, 1, 9, tzinfo=UTC)
ID, RELEASE, STABLE = "r-1", "20260601T080000Z-0123456789ab", "20260501T080000Z-ba9876543210"
LOOKS = 24


def check(name: str, status: Status = Status.PASSED, **figures: float | tuple[int, int]) -> Check:
    reason = {Status.PASSED: "as it should be", Status.FAILED: "worse than stable by more than the margin"}
    return Check(name=name, status=status, reason=reason.get(status, "not known yet"), **figures)  # type: ignore[arg-type]


def canary_checks(users: int, effect: float, slower: float, share: float) -> tuple[Check, ...]:
    """What a look finds after so many users, whose candidate differs by ``effect``."""
    width = 3 / math.sqrt(users)
    rng = np.random.default_rng(users)
    value = 2 * (effect + rng.normal(0, width / 8))
    bounds = {"low": value - width, "high": value + width}
    apart = 25 / math.sqrt(users)
    p99 = math.log1p(slower) + rng.normal(0, apart / 8)
    slow = Status.FAILED if p99 - apart > math.log1p(0.25) else Status.PASSED
    each = (users - int(users * share), int(users * share))
    rate = {"stable": 0.1, "candidate": 0.1, "low": -width / 8, "high": width / 8, "users": each}
    return (
        check(
            "sample_ratio",
            value=-1.0 - users / 9000,
            threshold=5.1,
            stable=1 - share,
            candidate=share,
            users=each,
        ),
        check(
            "engagement",
            Status.UNSURE,
            stable=2.0,
            candidate=2.0 + value,
            value=value,
            threshold=0.0,
            users=each,
            **bounds,
        ),
        check("errors", value=0.0003, threshold=0.005, **(rate | {"low": -0.001, "high": 0.002})),
        check(
            "p99",
            slow,
            value=p99,
            threshold=math.log1p(0.25),
            low=p99 - apart,
            high=p99 + apart,
            stable=80.0,
            candidate=80 * (1 + slower),
        ),
        *(
            check(name, value=0.002, threshold=0.05, **rate)
            for name in ("empty_slates", "fallback", "repeats")
        ),
        check(
            "coverage", value=-0.01, threshold=0.0, **(rate | {"low": -0.01 - width, "high": -0.01 + width})
        ),
        check("negative_actions", Status.UNSURE, value=0.001, threshold=0.05, **rate),
    )


@dataclass
class Course:
    """Writes one rollout; every step lasts ``LOOKS`` looks, ten minutes apart."""

    folder: Path
    effect: float = 0.04
    slower: float = 0.0
    allocation: str = "steps"
    at: datetime = START
    number: int = 0
    moves: list[Move] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = LocalStore(self.folder)
        self.move(RolloutStatus.SHADOW, "shadow", 0, by="ann@example.com", reason="started")

    def move(self, status: RolloutStatus, step: str, threshold: int, **said: object) -> None:
        fields = {
            "by": "controller",
            "reason": "every check has passed",
            "verdict": self.number or None,
        } | said
        self.moves.append(
            Move(status=status, step=step, threshold=threshold, at=isoformat(self.at), **fields)  # type: ignore[arg-type]
        )

    def look(self, decision: Decision, checks: Sequence[Check], *reasons: str, **more: object) -> None:
        self.number += 1
        self.at += timedelta(minutes=10)
        verdict = Verdict(
            rollout_id=ID, step=self.moves[-1].step, percent=self.moves[-1].threshold / 100,
            at=isoformat(self.at), decision=decision, blind=bool(more.pop("blind", False)),
            reasons=reasons or ("every check has passed",), checks=tuple(checks), **more,  # type: ignore[arg-type]
        )  # fmt: skip
        record(self.store, verdict, self.number)

    def shadow(self) -> None:
        """Step shadow, to its end."""
        for place in range(LOOKS):
            few = place < LOOKS // 2
            status = Status.UNSURE if few else Status.PASSED
            checks = [check("shadow", status)] if few else [
                check("shadow_failed", value=0.0, threshold=0.01),
                check("shadow_overlap", value=0.62, threshold=0.3),
                check("shadow_slower", value=0.05, threshold=0.5),
            ]  # fmt: skip
            decision = Decision.ADVANCE if place == LOOKS - 1 else Decision.HOLD
            self.look(decision, checks, f"shadow: {place * 50} of 500 answers are compared")
        self.blocks("shadow", candidate=0)

    def step(self, percent: float, ending: Decision) -> Sequence[Check]:
        """One step of the ramp, to its last look."""
        step = f"{percent:g}"
        self.move(RolloutStatus.CANARY, step, round(100 * percent))
        checks: Sequence[Check] = ()
        for place in range(1, LOOKS + 1):
            users = round(place * 3000 * (1 + percent))
            checks = canary_checks(users, self.effect, self.slower, percent / 100)
            failed = [each for each in checks if each.status is Status.FAILED]
            if failed:
                self.look(Decision.ABORT, checks, *(f"{each.name}: {each.reason}" for each in failed))
                self.blocks(step, candidate=percent / 100, looks=place)
                return failed
            self.look(
                ending if place == LOOKS else Decision.HOLD,
                checks,
                f"this step has lasted {600 * place} of 14400 s",
            )
        self.blocks(step, candidate=percent / 100)
        return checks

    def thompson(self, shares: Sequence[float]) -> None:
        """A step whose share moves."""
        self.move(RolloutStatus.CANARY, "thompson", round(shares[0] * 10_000))
        for place, share in enumerate(shares[1:], start=1):
            allocation = Allocation(
                threshold=round(share * 10_000), better=share, reason="the candidate is the better one"
            )
            checks = canary_checks(2000 * place, self.effect, self.slower, share)[:2]
            self.look(Decision.HOLD, checks, "engagement: not known", allocation=allocation)
            self.move(RolloutStatus.CANARY, "thompson", allocation.threshold, reason=allocation.reason)

    def blocks(self, step: str, candidate: float, looks: int = LOOKS) -> None:
        """What the gateway counted in the looks that are over."""
        log = BlockLog(self.store, ID, step)
        rng = np.random.default_rng(len(step))
        for place in range(2 * looks):
            at = self.at - timedelta(seconds=300 * (2 * looks - place))
            asked = int(rng.poisson(4000 * candidate))
            stable = Requests(4000 - asked, int(rng.poisson(4)), 80 + float(rng.normal(0, 6)))
            p99 = 80 * (1 + self.slower) + float(rng.normal(0, 9)) if asked else None
            ours = Requests(asked, int(rng.poisson(0.001 * asked)), p99)
            shadow = Requests(3900, 2, 95.0) if step == "shadow" else Requests(0, 0, None)
            log.add(Counted(Block(at, 300.0, stable, ours), shadow), {"place": place})

    def save(self) -> LocalStore:
        """Write the state and the pointer."""
        last = self.moves[-1]
        state = State(
            rollout_id=ID, release_id=RELEASE, stable_release_id=STABLE, salt=ID, allocation=self.allocation,  # type: ignore[arg-type]
            steps=(1, 5, 25, 50) if self.allocation == "steps" else (5,),
            status=last.status, step=last.step, threshold=last.threshold, sequence=len(self.moves),
            at=last.at, by=last.by, history=tuple(self.moves),
        )  # fmt: skip
        create(self.store, state)
        point(self.store, ID, None, ended=state.ended)
        return self.store


def promoted(folder: Path) -> Course:
    course = Course(folder)
    course.shadow()
    for percent in (1, 5, 25, 50):
        course.step(percent, Decision.PROMOTE if percent == 50 else Decision.ADVANCE)
    course.move(RolloutStatus.PROMOTING, "50", 5000)
    course.at += timedelta(minutes=1)
    course.move(RolloutStatus.PROMOTED, "50", 0, reason=f"stable answers with {RELEASE}", verdict=None)
    return course


def aborted(folder: Path) -> Course:
    course = Course(folder, effect=-0.01, slower=0.32)
    course.shadow()
    course.step(1, Decision.ADVANCE)
    failed = course.step(5, Decision.ADVANCE)
    course.move(
        RolloutStatus.ABORTED,
        course.moves[-1].step,
        0,
        reason="; ".join(f"{c.name}: {c.reason}" for c in failed),
    )
    return course


def under_way(folder: Path) -> Course:
    course = Course(folder)
    course.move(RolloutStatus.CANARY, "1", 100)
    course.move(RolloutStatus.CANARY, "5", 500)
    course.look(
        Decision.HOLD,
        canary_checks(900, 0.0, 0.0, 0.05)[:2],
        "errors: the gateway does not tell it",
        blind=True,
    )
    return course


def in_shadow(folder: Path) -> Course:
    """Ended by a person before any user met it; a reason that has to be escaped."""
    course = Course(folder)
    course.look(Decision.HOLD, [check("shadow", Status.UNSURE)], "shadow: 3 of 500 answers are compared")
    course.move(
        RolloutStatus.ABORTED, "shadow", 0, by="bob@example.com", reason="wrong <release>", verdict=None
    )
    return course


def inconclusive(folder: Path) -> Course:
    course = Course(folder, effect=0.0)
    course.move(RolloutStatus.CANARY, "50", 5000)
    course.look(Decision.INCONCLUSIVE, [], "undecided after 1209600 s")
    course.move(RolloutStatus.INCONCLUSIVE, "50", 0, reason="undecided after 1209600 s")
    return course


def without_anything(folder: Path) -> Course:
    return Course(folder)


def moving(folder: Path) -> Course:
    course = Course(folder, allocation="thompson")
    course.shadow()
    course.thompson([0.05, 0.3, 0.55, 0.42, 0.7, 0.82, 0.79, 0.93])
    return course
