"""A rollout in words: what was decided, and why."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final, NamedTuple

from slate.config import RolloutConfig
from slate.rollout.judge.engagement import ENGAGEMENT
from slate.rollout.judge.evidence import SHADOW_STEP
from slate.rollout.judge.verdict import Check, Verdict
from slate.rollout.report.course import Course
from slate.rollout.state import Move, RolloutStatus, State
from slate.rollout.traffic.driver import BUCKETS
from slate.rollout.transition import CONTROLLER

CHECKS: Final = {
    "sample_ratio": "Sample ratio",
    "engagement": "Engagement",
    "errors": "Errors",
    "p99": "Latency (p99)",
    "empty_slates": "Empty slates",
    "fallback": "Answers of a lower rung",
    "coverage": "Coverage",
    "repeats": "Repeated items",
    "negative_actions": "Negative actions",
    "shadow": "Shadow answers",
    "shadow_failed": "Answers missing or without a score",
    "shadow_overlap": "Overlap with stable's answers",
    "shadow_rank_biased_overlap": "Rank-biased overlap",
    "shadow_score_drift": "Score drift",
    "shadow_slower": "Slower than stable (p99)",
}

_WORDS: Final = {
    RolloutStatus.SHADOW: ("In shadow", "plain"),
    RolloutStatus.PROMOTING: ("Promoting", "good"),
    RolloutStatus.PROMOTED: ("Promoted", "good"),
    RolloutStatus.ABORTED: ("Aborted", "bad"),
    RolloutStatus.INCONCLUSIVE: ("Inconclusive", "plain"),
}
#: So many moves within a step are told each.
_TOGETHER: Final = 6
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


class Headline(NamedTuple):
    """A word, its tone (``good``, ``bad`` or ``plain``), and sentences that explain it."""

    word: str
    tone: str
    meaning: str
    lead: str


def headline(course: Course, now: datetime, margin: float = 0.0) -> Headline:
    """What a reader should know first.

    Args:
        margin: that engagement may be worse by, see :func:`margin_of`.
    """
    state = course.state
    word, tone = _WORDS.get(state.status, (f"{share(state.threshold)} of users", "plain"))
    last = course.verdicts[-1].verdict if course.verdicts else None
    return Headline(word, tone, _meaning(state, now), _lead(state, last, margin))


def told(move: Move, before: Move | None) -> str:
    """One move as a sentence."""
    who = "The controller" if move.by == CONTROLLER else move.by
    was = share(before.threshold) if before else "0%"
    if before is None:
        return f"{who} started it: {move.reason}."
    if move.status is RolloutStatus.CANARY:
        return f"{who} moved {was} of users to {share(move.threshold)}: {move.reason}."
    if move.status is RolloutStatus.PROMOTING:
        return f"{who} began to make it stable: {move.reason}."
    if move.status is RolloutStatus.PROMOTED:
        return f"{who} ended it: {move.reason}."
    if move.status is RolloutStatus.ABORTED:
        left = "before any user met it" if before.threshold == 0 else f"taking it from {was} of users"
        return f"{who} aborted it, {left}: {move.reason}."
    return f"{who} ended it undecided, at {was} of users: {move.reason}."


def timeline(history: Sequence[Move]) -> list[tuple[str, str, int | None]]:
    """When, what as a sentence, and the verdict; shares that moved often within a step are told together."""
    found: list[tuple[str, str, int | None]] = []
    before: Move | None = None
    for (_, step), run in groupby(history, key=lambda move: (move.status, move.step)):
        alike = list(run)
        told_one_by_one = len(alike) <= _TOGETHER
        for move in alike if told_one_by_one else alike[:1]:
            found.append((move.at, told(move, before), move.verdict))
            before = move
        if not told_one_by_one:
            shares = sorted(move.threshold for move in alike)
            ends = (
                f"between {share(shares[0])} and {share(shares[-1])}, to {share(alike[-1].threshold)} at last"
            )
            sentence = f"The share moved {len(alike) - 1} times in step {step}, {ends}: {alike[-1].reason}."
            found.append((alike[-1].at, sentence, alike[-1].verdict))
            before = alike[-1]
    return found


def share(threshold: int) -> str:
    """Buckets as a share of users.

    >>> share(2500), share(512)
    ('25%', '5.12%')
    """
    return f"{100 * threshold / BUCKETS:g}%"


def lasted(time: timedelta) -> str:
    """A time in its two largest units.

    >>> lasted(timedelta(days=3, hours=4, minutes=5)), lasted(timedelta(seconds=2.5))
    ('3 d 4 h', '2 s')
    """
    left = max(int(time.total_seconds()), 0)
    parts: list[str] = []
    for size, name in _UNITS:
        if left >= size or (name == "s" and not parts):
            parts.append(f"{left // size} {name}")
            left %= size
    return " ".join(parts[:2])


def when(instant: str) -> str:
    """An instant of a record, to the second.

    >>> when("2026-06-01T12:00:05.000000Z")
    '2026-06-01 12:00:05'
    """
    return f"{datetime.fromisoformat(instant):%Y-%m-%d %H:%M:%S}"


def margin_of(config: RolloutConfig) -> float:
    """The share of stable's engagement that a candidate may lack by the objective.

    A look's figure is how far it is above that, see :func:`slate.rollout.judge.engagement.estimate`; a reader
    wants to know how far it is from stable.
    """
    return config.margin if config.objective == "non_inferiority" else 0.0


def relative(check: Check | None, margin: float) -> tuple[str, str] | None:
    """Engagement as percent of stable's, and its bounds; None where it is not known."""
    if check is None or check.value is None or not check.stable or check.stable <= 0:
        return None
    bounds = "no bounds yet"
    if check.low is not None and check.high is not None:
        low, high = (each / check.stable - margin for each in (check.low, check.high))
        bounds = f"{low:+.1%} to {high:+.1%}"
    return f"{check.value / check.stable - margin:+.1%}", bounds


def check_of(verdict: Verdict | None, name: str) -> Check | None:
    """One check of a look."""
    found = [check for check in verdict.checks if check.name == name] if verdict else []
    return found[0] if found else None


def _meaning(state: State, now: datetime) -> str:
    history = state.history
    began, last = datetime.fromisoformat(history[0].at), history[-1]
    end = datetime.fromisoformat(last.at) if state.ended else now
    took, release = lasted(end - began), state.release_id
    if state.status is RolloutStatus.PROMOTED:
        return f"{release} is the stable release now, {took} after its rollout began."
    if state.status is RolloutStatus.PROMOTING:
        return (
            f"{release} is becoming the stable release: users stay where they are until it answers for all."
        )
    met = max(move.threshold for move in history)
    most = "No user met it" if met == 0 else f"{share(met)} of users met it at most"
    if state.status is RolloutStatus.ABORTED:
        return f"{release} went no further, {took} after its rollout began. {most}. Why: {last.reason}."
    if state.status is RolloutStatus.INCONCLUSIVE:
        undecided = f"{release} was shown neither to be better nor to be worse in {took}"
        return f"{undecided}. {most}. Why: {last.reason}."
    if state.status is RolloutStatus.SHADOW:
        return f"{release} answers copies of stable's requests since {took}. No user sees its answers."
    since = lasted(now - datetime.fromisoformat(_step_began(history, state.step)))
    return (
        f"{release} answers {share(state.threshold)} of users; this step lasts {since}, the rollout {took}."
    )


def _lead(state: State, last: Verdict | None, margin: float) -> str:
    if last is None:
        return "No look has been recorded."
    reasons = "; ".join(last.reasons)
    blind = " It did not see all that it should have." if last.blind else ""
    if state.ended and last.step == SHADOW_STEP:
        return f"The last look, in shadow, said {last.decision}: {reasons}.{blind}"
    engaged = relative(check_of(last, ENGAGEMENT), margin)
    figure = f" Engagement per user against stable's: {engaged[0]} ({engaged[1]})." if engaged else ""
    return f"The last look, at {when(last.at)}, said {last.decision}: {reasons}.{figure}{blind}"


def _step_began(history: Sequence[Move], step: str) -> str:
    return next(move.at for move in history if move.step == step)
