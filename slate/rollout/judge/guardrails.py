"""Guardrails: what a candidate may not make worse by more than a margin, whatever engagement says.

A guardrail fails when its confidence sequence lies wholly beyond the margin, with its share of alpha. It
passes when the sequence lies wholly within, with the whole alpha: all have to pass at once, and such an
intersection-union test needs no correction (Berger, Technometrics 1982). In between nothing is known yet.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from slate.config import GuardrailConfig, RolloutConfig
from slate.rollout.judge.evidence import Arms, Block
from slate.rollout.judge.sequences import Estimate, Sample, bounds, difference, mean, sample
from slate.rollout.judge.verdict import Check, Status
from slate.rollout.judge.weights import effective

ERRORS: Final = "errors"
P99: Final = "p99"
EMPTY: Final = "empty_slates"
FALLBACK: Final = "fallback"
COVERAGE: Final = "coverage"
REPEATS: Final = "repeats"
NEGATIVE: Final = "negative_actions"
#: Those of the log.
RATES: Final = (EMPTY, FALLBACK, COVERAGE, REPEATS, NEGATIVE)

_BETTER_HIGH: Final = frozenset({COVERAGE})


def rate(
    numerators: npt.ArrayLike, denominators: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> Sample:
    """A ratio of sums over users, with the variance of the delta method.

    ``R = sum x / sum n`` is the mean of ``R + (x_i - R n_i) / mean(n)``, whose variance it has (Deng,
    Knoblich and Lu, "Applying the Delta Method in Metric Analytics", KDD 2018): requests of one user
    may depend on each other as they like.

    Args:
        weights: of users that do not weigh the same; see :mod:`slate.rollout.judge.weights`.

    >>> rate([1, 0, 1], [2, 1, 1]).mean
    0.5
    """
    x, n = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    if weights is None:
        if n.sum() == 0:
            return Sample(n.size, math.nan, math.nan)
        share = x.sum() / n.sum()
        return careful(sample(share + (x - share * n) / n.mean()))
    w = np.asarray(weights, dtype=np.float64)
    if w @ n == 0:
        return Sample(effective(w), math.nan, math.nan)
    share = (w @ x) / (w @ n)
    return careful(sample(share + (x - share * n) / (w @ n / w.sum()), w))


def careful(found: Sample) -> Sample:
    """Never surer than one more observation in ``count + 2`` would leave it: none of 100 is not never."""
    return Sample(found.count, found.mean, max(float(found.variance), 1 / (float(found.count) + 2)))


def rate_check(
    name: str, arms: Arms[Sample] | None, margin: GuardrailConfig, alpha: float, config: RolloutConfig
) -> Check:
    """A guardrail of the log. Observations are users; of ``coverage`` groups of users."""
    if arms is None:
        return Check(name=name, status=Status.MISSING, reason="the log does not tell it")
    each = config.coverage_users if name == COVERAGE else 1
    needed = max(config.minimum_users // each, 2)
    counts = (int(arms.stable.count), int(arms.candidate.count))
    if min(counts) < needed:
        return Check(name=name, status=Status.UNSURE, reason=f"{min(counts)} of {needed} seen", users=counts)
    sign = -1 if name in _BETTER_HIGH else 1
    factor = 1 + sign * margin.margin if margin.relative else 1.0
    found = difference(arms.stable, arms.candidate, factor)
    worse = Estimate(sign * found.value, found.variance, found.size)
    threshold = 0.0 if margin.relative else margin.margin
    check = _check(name, worse, threshold, alpha, config.alpha.total, config.sharpest_at / each)
    return check.model_copy(
        update={"stable": float(arms.stable.mean), "candidate": float(arms.candidate.mean), "users": counts}
        if check.status is not Status.MISSING
        else {"users": counts}
    )


def error_check(blocks: Sequence[Block], config: RolloutConfig, alpha: float) -> Check:
    """The share of requests that failed: the mean difference over blocks, candidate less stable."""
    used = [block for block in blocks if block.stable.requests > 0 and block.candidate.requests > 0]
    broken = _broken(blocks, config)
    if broken is not None:
        return Check(name=ERRORS, status=Status.FAILED, reason=broken)
    if len(used) < config.minimum_blocks:
        return _few(ERRORS, len(used), config)
    margin = config.guardrails.errors
    factor = 1 + margin.margin if margin.relative else 1.0
    found = mean(
        sample(
            [
                block.candidate.errors / block.candidate.requests
                - factor * block.stable.errors / block.stable.requests
                for block in used
            ]
        )
    )
    asked = Arms(
        sum(block.stable.requests for block in used), sum(block.candidate.requests for block in used)
    )
    # None of n requests failed: as many as one might have. See `careful`.
    least = 1 / asked.stable**2 + 1 / asked.candidate**2
    found = Estimate(found.value, max(float(found.variance), least), found.size)
    threshold = 0.0 if margin.relative else margin.margin
    check = _check(ERRORS, found, threshold, alpha, config.alpha.total, 5 * config.minimum_blocks)
    return check.model_copy(
        update={
            "stable": sum(block.stable.errors for block in used) / asked.stable,
            "candidate": sum(block.candidate.errors for block in used) / asked.candidate,
            "users": asked,
        }
    )


def latency_check(blocks: Sequence[Block], config: RolloutConfig, alpha: float) -> Check:
    """The p99 of candidate over stable's, block by block; relative margins compare logarithms."""
    margin, least = config.guardrails.p99, config.minimum_requests
    used = [
        (block.stable.p99_ms, block.candidate.p99_ms)
        for block in blocks
        if min(block.stable.requests, block.candidate.requests) >= least
        and block.stable.p99_ms is not None
        and block.candidate.p99_ms is not None
    ]
    if len(used) < config.minimum_blocks:
        return _few(P99, len(used), config)
    times = np.array(used, dtype=np.float64)
    if not (np.isfinite(times).all() and (times > 0).all()):
        return Check(name=P99, status=Status.MISSING, reason="the gateway tells times that are no numbers")
    compared = np.log(times) if margin.relative else times
    threshold = math.log1p(margin.margin) if margin.relative else margin.margin
    found = mean(sample(compared[:, 1] - compared[:, 0]))
    check = _check(P99, found, threshold, alpha, config.alpha.total, 5 * config.minimum_blocks)
    medians = np.median(times, axis=0)
    return check.model_copy(
        update={
            "stable": float(medians[0]),
            "candidate": float(medians[1]),
            "users": (len(used), len(used)),
        }
    )


def _check(
    name: str, worse: Estimate, threshold: float, alpha: float, alpha_pass: float, sharpest_at: float
) -> Check:
    low = float(bounds(worse, alpha, sharpest_at).low)
    high = float(bounds(worse, alpha_pass, sharpest_at).high)
    if not (math.isfinite(low) and math.isfinite(high)):
        status, reason = Status.MISSING, "it is no number, or the same in every observation"
    elif low > threshold:
        status, reason = Status.FAILED, "worse than stable by more than the margin"
    elif high < threshold:
        status, reason = Status.PASSED, "not worse than stable by more than the margin"
    else:
        status, reason = Status.UNSURE, "not known yet to be within the margin"
    return Check(
        name=name,
        status=status,
        reason=reason,
        value=float(worse.value),
        low=low,
        high=high,
        threshold=threshold,
        alpha_low=alpha,
        alpha_high=alpha_pass,
    )


def _few(name: str, blocks: int, config: RolloutConfig) -> Check:
    return Check(
        name=name,
        status=Status.UNSURE,
        reason=f"{blocks} blocks of the gateway tell something, {config.minimum_blocks} are needed",
        users=(blocks, blocks),
    )


def _broken(blocks: Sequence[Block], config: RolloutConfig) -> str | None:
    """Why the candidate has to go at once; None where it need not. No statistics: most requests fail."""
    last: list[Block] = []
    for block in reversed(blocks):
        last.append(block)
        if sum(each.candidate.requests for each in last) >= config.broken_requests:
            break
    asked = sum(block.candidate.requests for block in last)
    failed = sum(block.candidate.errors for block in last)
    if asked < config.broken_requests or failed <= config.broken * asked:
        return None
    stable = sum(block.stable.errors for block in last) / max(sum(b.stable.requests for b in last), 1)
    if 2 * stable >= failed / asked:
        return None
    return f"{failed} of the candidate's last {asked} requests failed, {stable:.2%} of stable's"
