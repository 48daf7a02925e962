"""The checks on users: whether the arms have theirs, and what they make of what they are shown."""

import math
from collections.abc import Sequence

from slate.config import RolloutConfig
from slate.rollout.judge.cuped import Pair, adjusted
from slate.rollout.judge.evidence import Allocated, Arms
from slate.rollout.judge.ratio import log_bayes_factor, log_moving_factor
from slate.rollout.judge.sequences import Estimate, bounds, difference
from slate.rollout.judge.spending import Spending
from slate.rollout.judge.verdict import Check, Status

RATIO = "sample_ratio"
ENGAGEMENT = "engagement"
LOST = "; users are lost or doubled, or the gateway assigns wrongly"


def ratio_check(users: Arms[int] | None, percent: float, alpha: float) -> Check:
    """The sample-ratio test; ``value`` is the logarithm of the Bayes factor, ``threshold`` of 1 / alpha."""
    if users is None:
        return Check(name=RATIO, status=Status.MISSING, reason="the users of the arms are not known")
    share = percent / 100
    evidence = log_bayes_factor(users.stable, users.candidate, share)
    threshold = -math.log(alpha)
    total = users.stable + users.candidate
    failed = evidence >= threshold
    return Check(
        name=RATIO,
        status=Status.FAILED if failed else Status.PASSED,
        reason=f"{users.candidate} of {total} users are the candidate's, {share:.2%} should be"
        + (LOST if failed else ""),
        stable=1 - share,
        candidate=users.candidate / total if total else math.nan,
        value=evidence,
        threshold=threshold,
        alpha_low=alpha,
        users=(users.stable, users.candidate),
    )


def moving_ratio_check(allocated: Sequence[Allocated] | None, alpha: float) -> Check:
    """The same where the share moves: each user against the share that was logged with the first slate."""
    if allocated is None:
        return Check(
            name=RATIO, status=Status.MISSING, reason="the shares that users came under are not known"
        )
    wrong = [each.share for each in allocated if not 0 < each.share < 1]
    if wrong:
        reason = f"a share of {wrong[0]:g} was logged, where both arms should have users"
        return Check(name=RATIO, status=Status.MISSING, reason=reason)
    evidence, threshold = log_moving_factor(allocated), -math.log(alpha)
    users = Arms(*(sum(each.users[arm] for each in allocated) for arm in (0, 1)))
    meant = sum(each.share * sum(each.users) for each in allocated)
    total = sum(users)
    failed = evidence >= threshold
    return Check(
        name=RATIO,
        status=Status.FAILED if failed else Status.PASSED,
        reason=f"{users.candidate} of {total} users are the candidate's, {meant:.1f} should be"
        + (LOST if failed else ""),
        stable=1 - meant / total if total else math.nan,
        candidate=users.candidate / total if total else math.nan,
        value=evidence,
        threshold=threshold,
        alpha_low=alpha,
        users=users,
    )


def estimate(arms: Arms[Pair], config: RolloutConfig) -> Estimate:
    """How much better the candidate's mean engagement is, by what the objective asks for.

    ``superiority``: candidate less stable. ``non_inferiority``: candidate less ``1 - margin`` of stable.
    """
    factor = 1.0 if config.objective == "superiority" else 1 - config.margin
    stable, candidate = adjusted(*arms) if config.cuped else (arms.stable.plain, arms.candidate.plain)
    return difference(stable, candidate, factor)


def engagement_check(arms: Arms[Pair] | None, config: RolloutConfig, spent: Spending) -> Check:
    """``passed``: better by the objective. ``failed``: worse by it. Bounds are of :func:`estimate`."""
    if arms is None:
        return Check(name=ENGAGEMENT, status=Status.MISSING, reason="the engagement of the arms is not known")
    counts = (int(arms.stable.count), int(arms.candidate.count))
    if min(counts) < config.minimum_users:
        few = f"{min(counts)} users of an arm are through, {config.minimum_users} are needed"
        return Check(name=ENGAGEMENT, status=Status.UNSURE, reason=few, users=counts)
    found = estimate(arms, config)
    low = bounds(found, spent.win, config.sharpest_at).low
    high = bounds(found, spent.harm, config.sharpest_at).high
    status, reason = _judged(float(low), float(high), config)
    return Check(
        name=ENGAGEMENT,
        status=status,
        reason=reason,
        stable=float(arms.stable.mean),
        candidate=float(arms.candidate.mean),
        value=float(found.value),
        low=float(low),
        high=float(high),
        threshold=0.0,
        alpha_low=spent.win,
        alpha_high=spent.harm,
        users=counts,
    )


def _judged(low: float, high: float, config: RolloutConfig) -> tuple[Status, str]:
    least = "stable's" if config.objective == "superiority" else f"{1 - config.margin:g} of stable's"
    if not (math.isfinite(low) and math.isfinite(high)):
        return (
            Status.MISSING,
            "engagement is no number, or the same for every user: see whether events arrive",
        )
    if high < 0:
        return Status.FAILED, f"engagement per user is below {least}"
    if low > 0:
        return Status.PASSED, f"engagement per user is above {least}"
    return Status.UNSURE, f"engagement per user is not known to differ from {least}"
