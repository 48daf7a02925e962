"""The page."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from markupsafe import Markup

from slate.config import RolloutConfig
from slate.pages.render import render as page
from slate.rollout.blocks import Counted
from slate.rollout.judge.engagement import ENGAGEMENT, RATIO
from slate.rollout.judge.evidence import SHADOW_STEP, Requests
from slate.rollout.judge.guardrails import ERRORS, P99, RATES
from slate.rollout.judge.verdict import Check, Status, Verdict
from slate.rollout.report import draw
from slate.rollout.report.course import Course
from slate.rollout.report.series import Counts, Point, counts, relative, scale_of, segments
from slate.rollout.report.slices import Slice, forest
from slate.rollout.report.words import CHECKS, check_of, headline, lasted, margin_of, share, timeline, when
from slate.rollout.report.words import relative as relative_words
from slate.rollout.verdicts import Recorded

_MARKS: Final = {Status.PASSED: "✓", Status.FAILED: "✕", Status.UNSURE: "·", Status.MISSING: "?"}
#: Rows of the log of verdicts.
_ROWS: Final = 200
_PICKS: Final[Mapping[str, Callable[[Counted], Requests]]] = {
    "stable": lambda each: each.block.stable,
    "candidate": lambda each: each.block.candidate,
    "shadow": lambda each: each.shadow,
}


def render(
    course: Course, slices: Sequence[Slice], without: str | None, config: RolloutConfig, now: datetime
) -> str:
    """The page as HTML text.

    Args:
        slices: of the step it is in or ended in; ``without`` says why there are none.
        config: how the margins of guardrails are meant.
        now: until when a rollout that goes on is drawn.
    """
    state, verdicts = course.state, course.verdicts
    history = state.history
    until = datetime.fromisoformat(history[-1].at) if state.ended else now
    last = verdicts[-1].verdict if verdicts else None
    return page(
        "slate.rollout.report",
        "rollout.html.j2",
        state=state,
        headline=headline(course, now, margin_of(config)),
        tiles=_tiles(course, until, margin_of(config)),
        decided=[(when(at), sentence, verdict) for at, sentence, verdict in timeline(history)],
        moves=[
            {"at": when(move.at), "move": move, "share": share(move.threshold)}
            for move in history[: -_ROWS - 1 : -1]
        ],
        traffic=draw.traffic("Share of users that met the candidate", history, until),
        engagement=_engagement(verdicts, config),
        ratio=_ratio(verdicts),
        guardrails=_guardrails(verdicts, config),
        shadow=_shadow(verdicts),
        checks=_checks(last),
        slices=slices,
        forest=forest(tuple(slices)) if slices else None,
        without=without,
        gateway=_gateway(course),
        looks=course.looks,
        log=_log(verdicts),
        problems=course.problems,
        config=config,
    )


def _tiles(course: Course, until: datetime, margin: float) -> list[dict[str, str]]:
    state = course.state
    # A look between looks sees errors alone.
    seeing = (each.verdict for each in reversed(course.verdicts) if check_of(each.verdict, RATIO))
    last = next(seeing, None)
    began = datetime.fromisoformat(state.history[0].at)
    ratio, engaged = check_of(last, RATIO), relative_words(check_of(last, ENGAGEMENT), margin)
    met = max(move.threshold for move in state.history) if state.ended else state.threshold
    seen = "–" if ratio is None or ratio.users is None else f"{sum(ratio.users):,}"
    candidate = "" if ratio is None or ratio.users is None else f"{ratio.users[1]:,} the candidate's"
    return [
        {"name": "step", "value": state.step, "detail": f"{state.status}"},
        {
            "name": "share of users",
            "value": share(met),
            "detail": "met the candidate at most" if state.ended else "meet the candidate",
        },
        {"name": "lasted", "value": lasted(until - began), "detail": f"since {when(state.history[0].at)}"},
        {"name": "users of the step", "value": seen, "detail": candidate},
        {
            "name": "engagement per user",
            "value": engaged[0] if engaged else "–",
            "detail": engaged[1] if engaged else "not known",
        },
        {"name": "looks", "value": f"{course.looks:,}", "detail": f"{len(course.verdicts):,} of them read"},
    ]


def _engagement(verdicts: Sequence[Recorded], config: RolloutConfig) -> list[tuple[str, str, Markup]]:
    """A chart a step in which engagement was known."""
    margin = margin_of(config)
    return [
        (
            segment.step,
            _ended([point for point in segment.points if math.isfinite(point.value)][-1]),
            draw.sequence(
                f"Engagement against stable in step {segment.step}",
                segment,
                "% more than stable",
                -100 * margin,
            ),
        )
        for segment in segments(verdicts, ENGAGEMENT, relative(margin))
        if segment.known
    ]


def _ended(point: Point) -> str:
    return f"{point.value:+.1f}% ({point.low:+.1f} to {point.high:+.1f})"


def _ratio(verdicts: Sequence[Recorded]) -> Markup | None:
    found = [segment for segment in segments(verdicts, RATIO) if segment.known]
    if not found:
        return None
    title = "Evidence against the meant shares of users"
    return draw.against_threshold(title, found, "log Bayes factor", bounds=False)


def _guardrails(verdicts: Sequence[Recorded], config: RolloutConfig) -> list[dict[str, Any]]:
    drawn = []
    for name in (ERRORS, P99, *RATES):
        scale = scale_of(name, config)
        found = [each for each in segments(verdicts, name, scale.told) if each.known]
        if found:
            drawing = draw.against_threshold(CHECKS[name], found, scale.unit)
            drawn.append({"name": CHECKS[name], "unit": scale.unit, "drawing": drawing})
    return drawn


def _shadow(verdicts: Sequence[Recorded]) -> list[dict[str, str]]:
    """The checks of the last look in step shadow."""
    looks = [each.verdict for each in verdicts if each.verdict.step == SHADOW_STEP]
    return _checks(looks[-1]) if looks else []


def _checks(verdict: Verdict | None) -> list[dict[str, str]]:
    return [_row(check) for check in verdict.checks] if verdict else []


def _row(check: Check) -> dict[str, str]:
    return {
        "name": CHECKS.get(check.name, check.name),
        "mark": _MARKS[check.status],
        "tone": {Status.PASSED: "good", Status.FAILED: "bad"}.get(check.status, "plain"),
        "status": str(check.status),
        "reason": check.reason,
        "stable": _number(check.stable),
        "candidate": _number(check.candidate),
        "value": _number(check.value),
        "bounds": "–" if check.low is None or check.high is None else f"{check.low:.4g} to {check.high:.4g}",
        "threshold": _number(check.threshold),
        "users": "–" if check.users is None else f"{check.users[0]:,} / {check.users[1]:,}",
    }


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _gateway(course: Course) -> dict[str, Any] | None:
    """Requests, errors and p99 of each variant over all steps, and their sums by step."""
    blocks = [each for step in course.steps for each in course.blocks.get(step, ())]
    if not blocks:
        return None
    variants = {name: counts(blocks, pick) for name, pick in _PICKS.items()}
    variants = {name: each for name, each in variants.items() if any(count.requests for count in each)}
    if not variants:
        return None
    return {
        "charts": _gateway_charts(variants),
        "rows": [
            _sums(step, name, [pick(each) for each in course.blocks.get(step, ())])
            for step in course.steps
            for name, pick in _PICKS.items()
            if any(pick(each).requests for each in course.blocks.get(step, ()))
        ],
    }


def _gateway_charts(variants: dict[str, tuple[Counts, ...]]) -> list[tuple[str, Markup]]:
    figures: dict[str, tuple[str, Callable[[Counts], float]]] = {
        "Requests": ("requests a second", _asked),
        "Errors": ("% of requests", _failed),
        "p99": ("ms, the slowest block", _slow),
    }
    return [
        (
            title,
            draw.by_variant(
                f"{title} by variant",
                variants,
                {name: [of(each) for each in found] for name, found in variants.items()},
                unit,
            ),
        )
        for title, (unit, of) in figures.items()
    ]


def _asked(each: Counts) -> float:
    return each.requests / each.seconds if each.seconds else math.nan


def _failed(each: Counts) -> float:
    return 100 * each.errors / each.requests if each.requests else math.nan


def _slow(each: Counts) -> float:
    return math.nan if each.p99_ms is None else each.p99_ms


def _sums(step: str, variant: str, found: Sequence[Requests]) -> dict[str, str]:
    asked, failed = sum(each.requests for each in found), sum(each.errors for each in found)
    slow = sorted(each.p99_ms for each in found if each.p99_ms is not None and math.isfinite(each.p99_ms))
    return {
        "step": step,
        "variant": variant,
        "requests": f"{asked:,}",
        "errors": f"{failed:,}",
        "share": f"{failed / asked:.3%}" if asked else "–",
        "p99": f"{slow[len(slow) // 2]:.1f} ms" if slow else "–",
        "slowest": f"{slow[-1]:.1f} ms" if slow else "–",
    }


def _log(verdicts: Sequence[Recorded]) -> list[dict[str, Any]]:
    """Verdicts, the last first; those that say the same one after the other are one row."""
    rows = []
    for _, run in groupby(verdicts, key=lambda each: _said(each.verdict)):
        alike = list(run)
        first, last = alike[0], alike[-1]
        verdict = last.verdict
        moved = "" if verdict.allocation is None else f" {verdict.allocation.reason}."
        rows.append(
            {
                "numbers": f"{first.number}" if len(alike) == 1 else f"{first.number} to {last.number}",
                "at": when(first.verdict.at),
                "step": verdict.step,
                "share": f"{verdict.percent:g}%",
                "decision": str(verdict.decision),
                "blind": verdict.blind,
                "by": verdict.forced_by or "",
                "reasons": "; ".join(verdict.reasons) + "." + moved,
            }
        )
    return rows[::-1][:_ROWS]


def _said(verdict: Verdict) -> tuple[Any, ...]:
    """What makes two verdicts alike; the figures within reasons change with every look."""
    kinds = tuple(reason.partition(":")[0] for reason in verdict.reasons if ":" in reason)
    return (verdict.step, verdict.percent, verdict.decision, verdict.blind, verdict.forced_by, kinds)
