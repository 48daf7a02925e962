"""Thompson sampling over the two arms: how many users meet the candidate, by what is known of it so far.

An arm's mean engagement has a posterior: observations are normal with unknown mean and variance, and the
prior is worth one user (Gelman et al., "Bayesian Data Analysis", third edition, section 3.3: normal with a
scaled inverse chi-squared variance, so that the mean has a Student distribution). Thompson (Biometrika 1933)
gives each user an arm with the probability that it is the better one. A gateway knows one threshold for
everybody, so that probability itself is the candidate's share ("probability matching": Scott, "A modern
Bayesian look at the multi-armed bandit", 2010) until the next one is drawn: what single draws for each user
give on average, but without their noise, and a verdict tells how it came about. A single draw for all would
throw the share from one limit to the other.

**For the controller.** A rollout with ``rollout.allocation: thompson`` goes from step ``shadow`` to the only
other step, :data:`STEP`, with :func:`first_threshold`, and from there to an end; it never advances. Each look
is at ``Step(name=STEP, percent=threshold / 100, moved=...)``, where ``moved`` is when the threshold last
changed. The verdict's ``allocation`` says which threshold holds from then on: where it differs from the
state's, it is a transition that names this verdict. Buckets are nested: who is in treatment stays there as
long as the share rises, and who was first shown the stable arm counts as stable's for good.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from slate.config import RolloutConfig
from slate.hashing import BUCKETS
from slate.rollout.judge.cuped import Pair, adjusted
from slate.rollout.judge.evidence import MOVING_STEP, Arms, Step
from slate.rollout.judge.sequences import Sample
from slate.rollout.judge.verdict import Allocation, Check, Status

#: The name of the step in which shares move.
STEP: Final = MOVING_STEP

#: A share rises to so many times of what it was at most.
_STEEPEST: Final = 2
#: Users that the prior of an arm is worth.
_PRIOR: Final = 1.0
#: How far, in scales, and how finely the Student distribution is tabulated.
_REACH: Final = 40.0
_TABLE: Final = 4001

Floats = npt.NDArray[np.float64]


class Posterior(NamedTuple):
    """A Student distribution: of the mean engagement of an arm."""

    centre: float
    scale: float
    freedom: float


def first_threshold(config: RolloutConfig) -> int:
    """Buckets of 10,000 that meet the candidate as long as nothing is known: those of the smallest share."""
    return round(config.thompson.minimum * BUCKETS)


def allocate(
    arms: Arms[Pair] | None, others: Sequence[Check], step: Step, config: RolloutConfig, now: datetime
) -> Allocation:
    """The threshold that holds from now on, and why.

    It stays where it is before ``thompson.every_s`` is over, and where an arm has fewer than
    ``minimum_users`` users that are through. It falls freely. It rises to twice of what it was at most, so
    that servers and guardrails meet more users by and by, and only where a fixed step would be left behind:
    after ``dwell_s``, and when every check besides engagement has passed.

    Args:
        arms: the engagement of both, as the judge weighs it.
        others: the checks of this look besides engagement.
        step: ``percent`` is the share that holds now, ``moved`` when it began to.
    """
    held = round(step.percent * BUCKETS / 100)
    wait = config.thompson.every_s - (now - (step.moved or step.started)).total_seconds()
    if wait > 0:
        return Allocation(threshold=held, reason=f"the next share is drawn in {wait:.0f} s")
    if arms is None or not _known(arms, config):
        return Allocation(threshold=held, reason=f"an arm has fewer than {config.minimum_users} users")
    stable, candidate = (posterior(arm, arms, config) for arm in (0, 1))
    better = probability_above(candidate, stable)
    least = config.thompson.minimum
    wanted = min(round(min(max(better, least), 1 - least) * BUCKETS), _STEEPEST * held)
    said = f"the candidate is the better one with a probability of {better:.1%}"
    reason = _why_not(others, step, config, now) if wanted > held else None
    return Allocation(
        threshold=held if reason else wanted,
        better=better,
        reason=f"{said}; its share does not rise yet: {reason}" if reason else said,
    )


def _why_not(others: Sequence[Check], step: Step, config: RolloutConfig, now: datetime) -> str | None:
    """Why the share must not rise; None where it may."""
    age = (now - step.started).total_seconds()
    if age < config.dwell_s:
        return f"this step has lasted {age:.0f} of {config.dwell_s:g} s"
    return next(
        (f"{check.name}: {check.reason}" for check in others if check.status is not Status.PASSED), None
    )


def _known(arms: Arms[Pair], config: RolloutConfig) -> bool:
    enough = min(arms.stable.count, arms.candidate.count) >= config.minimum_users
    figures = (arms.stable.mean, arms.stable.variance, arms.candidate.mean, arms.candidate.variance)
    return bool(enough) and all(math.isfinite(each) for each in figures)


def posterior(arm: int, arms: Arms[Pair], config: RolloutConfig) -> Posterior:
    """Of the mean engagement of an arm, 0 is stable's.

    The prior is one user at the mean and with the variance of all users, with one degree of freedom.
    """
    samples = adjusted(*arms) if config.cuped else (arms.stable.plain, arms.candidate.plain)
    centre, variance = _together(samples)
    count, mean, own = float(samples[arm].count), float(samples[arm].mean), float(samples[arm].variance)
    users, freedom = _PRIOR + count, _PRIOR + count
    between = _PRIOR * count / users * (mean - centre) ** 2
    spread = (_PRIOR * variance + (count - 1) * own + between) / freedom
    return Posterior((_PRIOR * centre + count * mean) / users, math.sqrt(spread / users), freedom)


def _together(samples: tuple[Sample, Sample]) -> tuple[float, float]:
    counts = np.array([float(each.count) for each in samples])
    means, variances = (
        np.array([float(getattr(each, name)) for each in samples]) for name in ("mean", "variance")
    )
    return float(counts @ means / counts.sum()), float(counts @ variances / counts.sum())


def probability_above(ours: Posterior, theirs: Posterior) -> float:
    """How likely a draw from ``ours`` is larger than one from ``theirs``, both independent.

    >>> even = Posterior(1.0, 0.5, 20.0)
    >>> round(probability_above(even, even), 6), round(probability_above(Posterior(9.0, 0.5, 20.0), even), 6)
    (0.5, 1.0)
    """
    if ours.scale == 0 and theirs.scale == 0:
        return 0.5 if ours.centre == theirs.centre else float(ours.centre > theirs.centre)
    if theirs.scale < ours.scale:
        return 1 - probability_above(theirs, ours)
    # Over the narrower one: the wider distribution is smooth there.
    grid, density = _student(ours.freedom)
    wider = _student(theirs.freedom)[1]
    distribution = np.concatenate([[0.0], np.cumsum((wider[1:] + wider[:-1]) / 2)])
    places = (ours.centre + ours.scale * grid - theirs.centre) / theirs.scale
    below = np.interp(places, grid, distribution / distribution[-1])
    return float(below @ density / density.sum())


def _student(freedom: float) -> tuple[Floats, Floats]:
    """The standard distribution's density at a grid, up to a constant."""
    grid = np.linspace(-_REACH, _REACH, _TABLE)
    return grid, np.exp(-(freedom + 1) / 2 * np.log1p(grid**2 / freedom))
