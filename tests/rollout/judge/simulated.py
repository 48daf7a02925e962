"""Rollouts of simulated users, look by look, through the judge itself.

The same users come back in every step, in another order, with the bucket and the taste that they have. What
they do, what they wait for and what fails moves with the hour (AR(1), the same for both arms) and is skewed.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from slate.config import RolloutConfig
from slate.rollout.judge.cuped import Pair
from slate.rollout.judge.decide import decide
from slate.rollout.judge.evidence import Arms, Block, Evidence, Requests, Step
from slate.rollout.judge.guardrails import COVERAGE, EMPTY, FALLBACK, NEGATIVE, REPEATS, careful
from slate.rollout.judge.sequences import Sample
from slate.rollout.judge.verdict import Decision, Verdict

Numbers = npt.NDArray[np.float64]

START = datetime(2026, 6, 1, tzinfo=UTC)
LOOK_S = 600.0
BLOCKS = 4


@dataclass(frozen=True)
class World:
    """``effect`` multiplies what the candidate's users do; ``shaken`` is how much the hours differ."""

    users: int = 48_000
    looks: int = 40
    effect: float = 0.0
    shaken: float = 0.3
    requests: int = 4000
    errors: float = 0.002
    candidate_errors: float | None = None
    candidate_slower: float = 1.0


def config_of(world: World, **changes: Any) -> RolloutConfig:
    values = {
        "minimum_users": 100,
        "dwell_s": LOOK_S * world.looks * 0.6,
        "limit_s": LOOK_S * (world.looks - 0.5),
        "stale_s": 2 * LOOK_S,
        "minimum_requests": 10,
        "guardrails": {"empty_slates": {"margin": 0.04}, "coverage": {"margin": 0.5, "relative": True}},
    }
    return RolloutConfig(**(values | changes))


def rollout(
    world: World, config: RolloutConfig, rng: np.random.Generator, steps: Sequence[float] | None = None
) -> list[Verdict]:
    """All verdicts from the first step to the end, or to the last look."""
    verdicts: list[Verdict] = []
    taste = rng.gamma(0.8, 1.25, world.users)
    bucket = rng.random(world.users)
    before = rng.poisson(taste).astype(float)
    for percent in steps or config.steps:
        step = Step("r", f"{percent:g}", percent, START, START)
        for number, evidence in enumerate(looks(world, percent, taste, bucket, before, rng), start=1):
            now = START + timedelta(seconds=LOOK_S * number)
            verdicts.append(decide(replace(evidence, newest=now), step, config, now))
            if verdicts[-1].decision is not Decision.HOLD:
                break
        if verdicts[-1].decision is not Decision.ADVANCE:
            break
    return verdicts


def looks(
    world: World, percent: float, taste: Numbers, bucket: Numbers, before: Numbers, rng: np.random.Generator
) -> Iterator[Evidence]:
    """The evidence of one step, growing."""
    count = world.users // world.looks * world.looks
    order = rng.permutation(world.users)[:count]
    hour = _shocks(world.looks, world.shaken, rng)
    shock = np.repeat(hour, count // world.looks)
    treated = bucket[order] < percent / 100
    lift = np.where(treated, 1 + world.effect, 1.0)
    engaged = rng.poisson(taste[order] * shock * lift).astype(float)
    slates = 1.0 + rng.poisson(2 * shock)
    shares = {EMPTY: 0.002, FALLBACK: 0.03, REPEATS: 0.2}
    ratios = {
        name: (rng.binomial(slates.astype(int), np.minimum(share * shock, 0.9)).astype(float), slates)
        for name, share in shares.items()
    }
    negative = rng.poisson(0.02 * shock).astype(float)
    coverage = rng.beta(30, 20, count // 10)
    blocks = _blocks(world, percent, hour, rng)
    arms = [
        _Arm(mine, engaged, before[order], ratios, negative, covered, world.looks)
        for mine, covered in zip((~treated, treated), np.array_split(coverage, 2), strict=True)
    ]
    for look in range(world.looks):
        yield Evidence(
            users=Arms(*(int(arm.count[look]) for arm in arms)),
            engagement=Arms(*(arm.pair(look) for arm in arms)),
            rates={
                **{name: Arms(*(arm.ratio(name, look) for arm in arms)) for name in ratios},
                NEGATIVE: Arms(*(arm.negative(look) for arm in arms)),
                COVERAGE: Arms(*(arm.coverage(look) for arm in arms)),
            },
            blocks=blocks[: BLOCKS * (look + 1)],
        )


class _Arm:
    """Running sums of one arm at every look."""

    def __init__(
        self,
        mine: npt.NDArray[np.bool_],
        engaged: Numbers,
        before: Numbers,
        ratios: dict[str, tuple[Numbers, Numbers]],
        negative: Numbers,
        coverage: Numbers,
        looks: int,
    ) -> None:
        def upto(values: Numbers) -> Numbers:
            return np.asarray((values * mine).reshape(looks, -1).sum(1).cumsum())

        self.count = upto(np.ones(mine.size))
        self._engaged = [upto(v) for v in (engaged, engaged**2, before, before**2, engaged * before)]
        self._ratios = {
            name: [upto(v) for v in (x, n, x * x, n * n, x * n)] for name, (x, n) in ratios.items()
        }
        self._negative = [upto(negative), upto(negative**2)]
        self._coverage = coverage

    def pair(self, look: int) -> Pair:
        n, (y, yy, x, xx, xy) = self.count[look], (each[look] for each in self._engaged)
        if n < 2:
            return Pair(n, *(np.nan,) * 5)
        return Pair(
            n,
            y / n,
            (yy - y * y / n) / (n - 1),
            x / n,
            (xx - x * x / n) / (n - 1),
            (xy - x * y / n) / (n - 1),
        )

    def ratio(self, name: str, look: int) -> Sample:
        users, (x, n, xx, nn, xn) = self.count[look], (each[look] for each in self._ratios[name])
        if users < 2:
            return Sample(users, np.nan, np.nan)
        share = x / n
        spread = (xx - 2 * share * xn + share**2 * nn) / (users - 1) / (n / users) ** 2
        return careful(Sample(users, share, spread))

    def negative(self, look: int) -> Sample:
        n, (y, yy) = self.count[look], (each[look] for each in self._negative)
        return careful(Sample(n, y / n, (yy - y * y / n) / (n - 1))) if n > 1 else Sample(n, np.nan, np.nan)

    def coverage(self, look: int) -> Sample:
        seen = self._coverage[: int(self.count[look]) // 10]
        if seen.size < 2:
            return Sample(seen.size, np.nan, np.nan)
        return careful(Sample(seen.size, float(seen.mean()), float(seen.var(ddof=1))))


def _blocks(world: World, percent: float, hour: Numbers, rng: np.random.Generator) -> list[Block]:
    shock = np.repeat(hour, BLOCKS)
    total = rng.poisson(world.requests * shock)
    asked = rng.binomial(total, percent / 100)
    worse = world.errors if world.candidate_errors is None else world.candidate_errors
    wrong = [
        rng.binomial(total - asked, np.minimum(world.errors * shock, 1)),
        rng.binomial(asked, np.minimum(worse * shock, 1)),
    ]
    usual = 80 * shock
    times = [
        usual * _shocks(shock.size, 0.1, rng),
        usual * _shocks(shock.size, 0.1, rng) * world.candidate_slower,
    ]
    seconds = LOOK_S / BLOCKS
    return [
        Block(
            START + timedelta(seconds=seconds * place),
            seconds,
            Requests(int(total[place] - asked[place]), int(wrong[0][place]), float(times[0][place])),
            Requests(int(asked[place]), int(wrong[1][place]), float(times[1][place])),
        )
        for place in range(shock.size)
    ]


def _shocks(count: int, size: float, rng: np.random.Generator, kept: float = 0.7) -> Numbers:
    """Positive, with mean about 1, each like the one before."""
    values = np.empty(count)
    state = rng.normal()
    for place in range(count):
        state = kept * state + np.sqrt(1 - kept**2) * rng.normal()
        values[place] = state
    return np.asarray(np.exp(size * values - size**2 / 2))


def ends(runs: list[list[Verdict]]) -> Counter[str]:
    """How often rollouts ended in which way, with what failed."""
    found: Counter[str] = Counter()
    for verdicts in runs:
        last = verdicts[-1]
        why = ",".join(sorted(check.name for check in last.checks if check.status == "failed"))
        found[f"{last.decision} {why}".strip()] += 1
    return found
