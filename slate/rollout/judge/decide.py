"""From evidence to a decision. Whatever is missing, unclear or broken never lets a candidate climb."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from slate.clock import isoformat
from slate.config import RolloutConfig
from slate.rollout.allocation import allocate
from slate.rollout.judge.engagement import ENGAGEMENT, engagement_check, moving_ratio_check, ratio_check
from slate.rollout.judge.evidence import MOVING_STEP, SHADOW_STEP, Block, Evidence, Step
from slate.rollout.judge.guardrails import ERRORS, P99, RATES, error_check, latency_check, rate_check
from slate.rollout.judge.shadow_checks import shadow_checks
from slate.rollout.judge.spending import Spending, spending
from slate.rollout.judge.verdict import Check, Decision, Status, Verdict

#: The largest share of users that both variants may have answered in one step: requests of the very instant
#: in which a weight moved.
CROSSED = 0.001


class Outcome(NamedTuple):
    """A decision, and what it is made for."""

    decision: Decision
    blind: bool
    reasons: tuple[str, ...]


def look(
    gather: Callable[[], Evidence],
    step: Step,
    config: RolloutConfig,
    now: datetime,
    blind_since: datetime | None = None,
) -> Verdict:
    """Gather the evidence and judge it; whatever goes wrong in that is itself a verdict, and a blind one.

    Args:
        gather: reads what there is, and may raise.
        blind_since: when the verdicts of this step that were all blind up to the last one began; see
            :func:`blind_since`.
    """
    try:
        return decide(gather(), step, config, now, blind_since)
    except Exception as error:
        # Fail closed: a judge that breaks must not leave the candidate where it is without a word.
        problem = f"the judge failed: {type(error).__name__}: {error}"
        return _verdict(_blind((problem,), config, now, blind_since), step, now, ())


def blind_since(verdicts: Sequence[Verdict], step: str) -> datetime | None:
    """When the latest verdicts of a step began to be blind; None where the last one was not.

    Args:
        verdicts: of one rollout, in their order.
    """
    began = None
    for verdict in reversed(verdicts):
        if verdict.step != step or not verdict.blind:
            break
        began = datetime.fromisoformat(verdict.at)
    return began


def decide(
    evidence: Evidence,
    step: Step,
    config: RolloutConfig,
    now: datetime,
    blind_since: datetime | None = None,
) -> Verdict:
    """Judge one look.

    Where shares move, all of them are one step, which is the last one, too, and a verdict that holds says how
    the share goes on.

    ``abort`` where any check failed. Else, where something is missing: ``hold``, and ``abort`` when that goes
    on for ``blind_s``. Else ``advance`` (in the last step ``promote``) where every check has passed and the
    step has dwelt; engagement has to pass in the last step only. Else ``inconclusive`` after ``limit_s``, and
    ``hold`` before.

    Raises:
        ConfigError: the rollout has no such step.
    """
    checks = _checks(evidence, step, config, now)
    outcome = _outcome(checks, _problems(evidence, step, config, now), step, config, now, blind_since)
    verdict = _verdict(outcome, step, now, checks)
    if step.name != MOVING_STEP or outcome.blind or outcome.decision is not Decision.HOLD:
        return verdict
    others = [check for check in checks if check.name != ENGAGEMENT]
    allocation = allocate(evidence.engagement, others, step, config, now)
    return verdict.model_copy(update={"allocation": allocation})


def _checks(evidence: Evidence, step: Step, config: RolloutConfig, now: datetime) -> tuple[Check, ...]:
    if step.name == SHADOW_STEP:
        return shadow_checks(evidence.shadow, config.shadow)
    spent = spending(config, step.percent)
    ratio = (
        moving_ratio_check(evidence.allocated, spent.ratio)
        if step.name == MOVING_STEP
        else ratio_check(evidence.users, step.percent, spent.ratio)
    )
    rates = (
        rate_check(name, evidence.rates.get(name), getattr(config.guardrails, name), spent.guardrail, config)
        for name in RATES
    )
    return (
        ratio,
        engagement_check(evidence.engagement, config, spent),
        *_gateway_checks(evidence.blocks, step, config, spent, now),
        *rates,
    )


def _gateway_checks(
    blocks: Sequence[Block] | None, step: Step, config: RolloutConfig, spent: Spending, now: datetime
) -> tuple[Check, ...]:
    if blocks is None:
        return tuple(
            Check(name=name, status=Status.MISSING, reason="the gateway does not tell it")
            for name in (ERRORS, P99)
        )
    found = (error_check(blocks, config, spent.guardrail), latency_check(blocks, config, spent.guardrail))
    gap = _gap(blocks, step, now)
    if gap <= timedelta(seconds=config.stale_s):
        return found
    reason = f"the gateway told nothing for {gap.total_seconds():.0f} s of this step"
    return tuple(
        check
        if check.status is Status.FAILED
        else Check(name=check.name, status=Status.MISSING, reason=reason)
        for check in found
    )


def _gap(blocks: Sequence[Block], step: Step, now: datetime) -> timedelta:
    """The longest time of a step that no block covers."""
    ends = [step.started, *(block.at + timedelta(seconds=block.seconds) for block in blocks)]
    starts = [*(block.at for block in blocks), now]
    return max(start - end for start, end in zip(starts, ends, strict=True))


def _problems(evidence: Evidence, step: Step, config: RolloutConfig, now: datetime) -> tuple[str, ...]:
    found = list(evidence.problems)
    if step.name == SHADOW_STEP:
        return tuple(found)
    age = (now - (evidence.newest or step.started)).total_seconds()
    if abs(age) > config.stale_s:
        known = f"is from {isoformat(evidence.newest)}" if evidence.newest else "holds nothing of this step"
        found.append(f"the log {known}, {age:.0f} s ago; {config.stale_s:g} s are allowed")
    users = sum(evidence.users) if evidence.users else 0
    if evidence.crossed > max(CROSSED * users, 1):
        wrong = "a variant that is not their bucket's" if step.name == MOVING_STEP else "both variants"
        found.append(f"{wrong} answered {evidence.crossed} of {users} users: they do not stick")
    if evidence.blocks is not None and any(late.at < early.at for early, late in pairwise(evidence.blocks)):
        found.append("the gateway's blocks are not in the order of time")
    return tuple(found)


def _outcome(
    checks: tuple[Check, ...],
    problems: tuple[str, ...],
    step: Step,
    config: RolloutConfig,
    now: datetime,
    blind_since: datetime | None,
) -> Outcome:
    missing = (*problems, *_reasons(checks, Status.MISSING))
    failed = _reasons(checks, Status.FAILED)
    if failed:
        return Outcome(Decision.ABORT, bool(missing), failed)
    if missing:
        return _blind(missing, config, now, blind_since)
    last = step.name == MOVING_STEP or step.percent == config.steps[-1]
    waiting = _reasons([check for check in checks if last or not _enough(check)], Status.UNSURE)
    age = (now - step.started).total_seconds()
    if age < config.dwell_s:
        waiting = (f"this step has lasted {age:.0f} of {config.dwell_s:g} s", *waiting)
    if not waiting:
        decision = Decision.PROMOTE if last else Decision.ADVANCE
        return Outcome(decision, False, ("every check has passed",))
    if age > config.limit_s:
        return Outcome(Decision.INCONCLUSIVE, False, (f"undecided after {config.limit_s:g} s", *waiting))
    return Outcome(Decision.HOLD, False, waiting)


def _enough(check: Check) -> bool:
    """Whether a check may be unsure in a step that is not the last: engagement, once its users are there."""
    return check.name == ENGAGEMENT and check.value is not None


def _blind(
    problems: tuple[str, ...], config: RolloutConfig, now: datetime, blind_since: datetime | None
) -> Outcome:
    if blind_since is None or (now - blind_since).total_seconds() < config.blind_s:
        return Outcome(Decision.HOLD, True, problems)
    since = f"nothing can be said since {isoformat(blind_since)}, longer than {config.blind_s:g} s"
    return Outcome(Decision.ABORT, True, (since, *problems))


def _reasons(checks: Sequence[Check], status: Status) -> tuple[str, ...]:
    return tuple(f"{check.name}: {check.reason}" for check in checks if check.status is status)


def _verdict(outcome: Outcome, step: Step, now: datetime, checks: tuple[Check, ...]) -> Verdict:
    return Verdict(
        rollout_id=step.rollout_id,
        step=step.name,
        percent=step.percent,
        at=isoformat(now),
        decision=outcome.decision,
        blind=outcome.blind,
        reasons=outcome.reasons,
        checks=checks,
    )
