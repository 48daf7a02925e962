"""The checks of step shadow: no user is hurt by it, so limits decide and no alpha is spent."""

import math

from slate.config import ShadowConfig
from slate.rollout.judge.shadow import Likeness
from slate.rollout.judge.verdict import Check, Status

SHADOW = "shadow"


def shadow_checks(found: Likeness | None, config: ShadowConfig) -> tuple[Check, ...]:
    """One check a figure, once ``minimum`` requests are compared."""
    if found is None:
        return (Check(name=SHADOW, status=Status.MISSING, reason="the shadow's answers are not known"),)
    if found.requests < config.minimum:
        few = f"{found.requests} of {config.minimum} answers are compared"
        return (Check(name=SHADOW, status=Status.UNSURE, reason=few),)
    return (
        _limit("shadow_failed", found.failed, config.failed, above=True),
        _limit("shadow_overlap", found.overlap, config.overlap, above=False),
        _limit("shadow_rank_biased_overlap", found.rank_biased, config.rank_biased, above=False),
        _limit("shadow_score_drift", found.score_drift, config.score_drift, above=True),
        _limit("shadow_slower", found.slower, config.slower, above=True),
    )


def _limit(name: str, value: float, limit: float, above: bool) -> Check:
    """Fails ``above`` the limit, or below it."""
    if not math.isfinite(value):
        return Check(name=name, status=Status.MISSING, reason="it is no number", threshold=limit)
    wrong = value > limit if above else value < limit
    return Check(
        name=name,
        status=Status.FAILED if wrong else Status.PASSED,
        reason=f"{value:.4g}, at {'most' if above else 'least'} {limit:g} is allowed",
        value=value,
        threshold=limit,
    )
