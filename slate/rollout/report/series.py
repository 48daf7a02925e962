"""Checks as they went on from verdict to verdict, ready to be drawn."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from slate.config import GuardrailConfig, RolloutConfig
from slate.rollout.blocks import Counted
from slate.rollout.judge.evidence import Requests
from slate.rollout.judge.guardrails import NEGATIVE, P99
from slate.rollout.judge.verdict import Check
from slate.rollout.verdicts import Recorded

#: More points than this are drawn as fewer.
_POINTS: Final = 240


@dataclass(frozen=True)
class Point:
    """One check at one look; what is not known is NaN."""

    at: datetime
    value: float
    low: float
    high: float
    threshold: float


@dataclass(frozen=True)
class Segment:
    """A check within one step: sequences begin anew with every step."""

    step: str
    points: tuple[Point, ...]

    @property
    def known(self) -> bool:
        """Whether any look knew a figure."""
        return any(math.isfinite(point.value) for point in self.points)


@dataclass(frozen=True)
class Scale:
    """How the figures of a guardrail are told: ``of`` turns one into ``unit``."""

    of: Callable[[float], float]
    unit: str

    def told(self, _check: Check, value: float, /) -> float:
        """A figure of a check in ``unit``."""
        return self.of(value)


@dataclass(frozen=True)
class Counts:
    """What the gateway counted of one variant in some time; ``p99_ms`` is None where nobody knows."""

    at: datetime
    seconds: float
    requests: int
    errors: int
    p99_ms: float | None


def segments(
    verdicts: Sequence[Recorded], name: str, scale: Callable[[Check, float], float] | None = None
) -> tuple[Segment, ...]:
    """The course of one check, by step. Looks that did not see it are left out.

    Args:
        scale: turns a figure of a check into what is drawn.
    """
    found = []
    for step, run in groupby(verdicts, key=lambda each: each.verdict.step):
        points = tuple(_points(run, name, scale or (lambda _, value: value)))
        if points:
            found.append(Segment(step, points))
    return tuple(found)


def relative(margin: float) -> Callable[[Check, float], float]:
    """What tells engagement as percent of stable's mean more than it; NaN where that is not above 0.

    Args:
        margin: that the objective lets a candidate lack, as a share.
    """

    def told(check: Check, value: float) -> float:
        return 100 * (value / check.stable - margin) if check.stable and check.stable > 0 else math.nan

    return told


def scale_of(name: str, config: RolloutConfig) -> Scale:
    """How a guardrail's figures are told: how much worse than stable the candidate is."""
    margin: GuardrailConfig = getattr(config.guardrails, name)
    if name == P99:
        if margin.relative:
            return Scale(lambda value: 100 * math.expm1(value), "% slower than stable")
        return Scale(lambda value: value, "ms slower than stable")
    if margin.relative:
        return Scale(lambda value: 100 * value, "points beyond the margin")
    if name == NEGATIVE:
        return Scale(lambda value: value, "more a user")
    return Scale(lambda value: 100 * value, "percentage points worse")


def counts(blocks: Sequence[Counted], pick: Callable[[Counted], Requests]) -> tuple[Counts, ...]:
    """One variant's figures over time, several blocks together where there are many.

    Requests and errors add up; of p99 the largest stands for all, since quantiles do not add.
    """
    together = max(1, -(-len(blocks) // _POINTS))
    found = []
    for start in range(0, len(blocks), together):
        part = blocks[start : start + together]
        figures = [pick(each) for each in part]
        slow = [each.p99_ms for each in figures if each.p99_ms is not None and math.isfinite(each.p99_ms)]
        found.append(
            Counts(
                part[0].block.at,
                sum(each.block.seconds for each in part),
                sum(each.requests for each in figures),
                sum(each.errors for each in figures),
                max(slow, default=None),
            )
        )
    return tuple(found)


def _points(run: Iterator[Recorded], name: str, scale: Callable[[Check, float], float]) -> Iterator[Point]:
    for recorded in run:
        for check in recorded.verdict.checks:
            if check.name == name:
                figures = (check.value, check.low, check.high, check.threshold)
                yield Point(
                    datetime.fromisoformat(recorded.verdict.at),
                    *(math.nan if each is None else scale(check, each) for each in figures),
                )
