"""Whole rollouts whose share moves by Thompson sampling, through the judge itself."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from slate.config import RolloutConfig
from slate.rollout.allocation import STEP, allocate, first_threshold
from slate.rollout.judge.cuped import pair
from slate.rollout.judge.decide import decide
from slate.rollout.judge.engagement import ENGAGEMENT
from slate.rollout.judge.evidence import Allocated, Arms, Evidence, Step
from slate.rollout.judge.guardrails import NEGATIVE, careful
from slate.rollout.judge.sequences import sample
from slate.rollout.judge.verdict import Decision, Verdict
from tests.rollout.judge.cases import GOOD, NOW, START, blocks, rates

LOOK = timedelta(hours=1)
FOREVER = 10.0**9
CONFIG = RolloutConfig(
    allocation="thompson",
    minimum_users=50,
    dwell_s=LOOK.total_seconds(),
    limit_s=FOREVER,
    stale_s=FOREVER,
    sharpest_at=4000,
    thompson={"every_s": LOOK.total_seconds(), "minimum": 0.2},
)
BLOCKS, RATES = blocks(count=30), rates()


@dataclass(frozen=True)
class Course:
    """All verdicts of one rollout, and how many users met each arm."""

    verdicts: list[Verdict]
    users: Arms[int]

    @property
    def end(self) -> str:
        return str(self.verdicts[-1].decision)


@dataclass
class Seen:
    """What every user that came so far did."""

    values: npt.NDArray[np.float64]
    before: npt.NDArray[np.float64]
    negative: npt.NDArray[np.float64]
    treated: npt.NDArray[np.bool_]
    shares: npt.NDArray[np.float64]

    def evidence(self) -> Evidence:
        weights = np.where(self.treated, 1 - self.shares, self.shares)
        arms = [~self.treated, self.treated]
        distinct = np.unique(self.shares)
        return replace(
            GOOD,
            users=Arms(*(int(arm.sum()) for arm in arms)),
            allocated=tuple(
                Allocated(float(p), Arms(*(int((arm & (self.shares == p)).sum()) for arm in arms)))
                for p in distinct
            ),
            engagement=Arms(*(pair(self.values[arm], self.before[arm], weights[arm]) for arm in arms)),
            rates=RATES
            | {NEGATIVE: Arms(*(careful(sample(self.negative[arm], weights[arm])) for arm in arms))},
            blocks=BLOCKS,
            newest=NOW,
        )


def rollout(
    effect: float,
    config: RolloutConfig,
    rng: np.random.Generator,
    looks: int = 20,
    each: int = 500,
    shaken: float = 0.3,
    endless: bool = False,
) -> Course:
    """Users whose hours differ, the same for both arms; a rollout that goes on ends with the last look.

    Args:
        endless: shares go on as if no end had been decided.
    """
    threshold, moved = first_threshold(config), START
    parts: list[tuple[npt.NDArray[Any], ...]] = []
    verdicts: list[Verdict] = []
    for number in range(1, looks + 1):
        taste = rng.gamma(0.8, 1.25, each)
        hour = rng.lognormal(0, shaken)
        treated = rng.integers(0, 10_000, each) < threshold
        values = rng.poisson(taste * hour * np.where(treated, 1 + effect, 1.0))
        parts.append(
            (
                values,
                rng.poisson(taste),
                rng.poisson(0.02 * hour, each),
                treated,
                np.full(each, threshold / 10_000),
            )
        )
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        seen = Seen(*(c.astype(float) for c in columns[:3]), columns[3], columns[4])
        now = START + number * LOOK
        step = Step("r", STEP, threshold / 100, START, START, moved)
        verdicts.append(decide(seen.evidence(), step, config, now))
        last = verdicts[-1]
        allocation = last.allocation
        if endless:
            others = [check for check in last.checks if check.name != ENGAGEMENT]
            allocation = allocate(seen.evidence().engagement, others, step, config, now)
        if allocation is None:
            break
        if allocation.threshold != threshold:
            threshold, moved = allocation.threshold, now
    treated = np.concatenate([part[3] for part in parts])
    return Course(verdicts, Arms(int((~treated).sum()), int(treated.sum())))


def ends(effect: float, runs: int, seed: int, **world: Any) -> Counter[str]:
    rng = np.random.default_rng(seed)
    return Counter(rollout(effect, CONFIG, rng, **world).end for _ in range(runs))


def test_equal_releases_hardly_ever_end() -> None:
    found = ends(0.0, 16, 1, looks=15)
    assert found["hold"] >= 15, found


@pytest.mark.slow
def test_equal_releases_end_wrongly_as_seldom_as_alpha_says() -> None:
    found = ends(0.0, 300, 2, looks=40)
    assert found["hold"] >= 285, found


def test_a_better_release_is_promoted_and_a_worse_one_aborted() -> None:
    better, worse = ends(0.3, 6, 3), ends(-0.3, 6, 4)
    assert better["promote"] == 6, better
    assert worse["abort"] == 6, worse


def test_fewer_users_meet_the_worse_arm_than_with_even_shares() -> None:
    rng = np.random.default_rng(5)
    for effect in (0.2, -0.2):
        users = [rollout(effect, CONFIG, rng, endless=True).users for _ in range(4)]
        worse = sum(each[int(effect < 0)] for each in users)
        assert worse < 0.75 * 0.5 * sum(map(sum, users)), (effect, users)


def test_every_allocation_is_recorded_with_its_reason() -> None:
    course = rollout(0.0, CONFIG, np.random.default_rng(6))
    known = [verdict.allocation for verdict in course.verdicts if verdict.allocation]
    assert len({each.threshold for each in known}) > 2
    assert all(2000 <= each.threshold <= 8000 for each in known)
    for verdict in course.verdicts:
        assert Verdict.from_json(verdict.to_json()) == verdict
    final = course.verdicts[-1]
    assert (final.allocation is None) == (final.decision is not Decision.HOLD)


def test_a_failing_guardrail_ends_it_and_a_blind_look_keeps_the_share() -> None:
    step = Step("r", STEP, 20.0, START, START)
    seen = Seen(
        *(np.random.default_rng(n).poisson(1.0, 2000).astype(float) for n in range(3)),
        np.arange(2000) % 5 == 0,
        np.full(2000, 0.2),
    ).evidence()
    now = START + 3 * LOOK
    good = decide(seen, step, CONFIG, now)
    assert good.allocation is not None
    slow = decide(replace(seen, blocks=blocks(slower=1.6)), step, CONFIG, now)
    assert (slow.decision, slow.allocation) == ("abort", None)
    for gone in ({"blocks": None}, {"allocated": None}, {"engagement": None}, {"problems": ("gone",)}):
        blind = decide(replace(seen, **gone), step, CONFIG, now)
        assert (blind.decision, blind.blind, blind.allocation) == ("hold", True, None)
    lost = decide(replace(seen, allocated=(Allocated(0.2, Arms(20_000, 4000)),)), step, CONFIG, now)
    assert [check.name for check in lost.checks if check.status == "failed"] == ["sample_ratio"]
