"""What the report says about quality: the verdict, metrics beside baselines, slices, exposure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from slate.data.catalogue import TRAIN_COUNT
from slate.evaluation import plots
from slate.evaluation.baselines import POPULARITY
from slate.evaluation.forest import (
    Bar,
    Forest,
    Row,
    bar,
    difference_bar,
    interval,
    metric_label,
    ranker_name,
    short,
    span_of,
)
from slate.evaluation.gate_fairness import EXPOSURE_GAP, QUALITY_GAP
from slate.evaluation.intervals import Difference
from slate.evaluation.metrics import lorenz
from slate.evaluation.record import CHAMPION, SHOWN, TARGET_COUNT, EvaluationRecord
from slate.evaluation.slices import ALL
from slate.release.verdict import Check

if TYPE_CHECKING:
    from slate.evaluation.report_inputs import ReportInputs

_WORDS: Final = {
    "passed": ("Passed", "good", "This model may be released."),
    "refused": ("Refused", "bad", "This model may not be released."),
    "unchanged": ("Unchanged", "plain", "This is the champion's own content; there is nothing to release."),
}
_SLICE: Final = "slice "
#: How the names of checks begin that are of a group.
_GROUP: Final = (QUALITY_GAP, EXPOSURE_GAP)
#: Parts of the catalogue from the most to the least popular, by share of items.
_PARTS: Final = (
    ("top 1%", 0.01),
    ("next 4%", 0.05),
    ("next 15%", 0.2),
    ("next 30%", 0.5),
    ("last half", 1.0),
)


def headline(inputs: "ReportInputs") -> dict[str, Any]:
    """The verdict in plain words, and its checks, the failed ones first."""
    if inputs.verdict is None:
        word, tone, meaning = "No verdict", "plain", "The gate has not judged this model."
        checks: Sequence[Check] = ()
    else:
        word, tone, meaning = _WORDS[inputs.verdict.status]
        checks = inputs.verdict.checks
    failed = [c for c in checks if not c.passed]
    if failed:
        meaning += f" {len(failed)} of {len(checks)} checks failed."
    elif inputs.verdict is not None and inputs.verdict.status == "passed":
        meaning += f" All {len(checks)} checks passed."
    passed = [c for c in checks if c.passed]
    return {
        "word": word,
        "tone": tone,
        "meaning": meaning,
        "failed": [_check(c) for c in failed],
        "passed": [_check(c) for c in passed if not c.name.startswith((_SLICE, *_GROUP))],
        "parts": [
            (f"{len(found)} {what} passed", [_check(c) for c in found])
            for what, start in (("slices", _SLICE), ("groups", _GROUP))
            if (found := [c for c in passed if c.name.startswith(start)])
        ],
        "sentence": _sentence(inputs.evaluation.record) if inputs.evaluation else "",
        "tiles": _tiles(inputs.evaluation.record) if inputs.evaluation else [],
    }


def _check(check: Check) -> dict[str, str]:
    return {
        "name": _title(check.name),
        "detail": check.detail,
        "value": _short(check.value),
        "threshold": _short(check.threshold),
    }


def _title(name: str) -> str:
    """A check's name as a heading; what users named stays as they wrote it.

    >>> _title("better_than_popularity"), _title("quality gap home_region: North_West")
    ('Better than popularity', 'Quality gap home_region: North_West')
    """
    spaced = name if name.startswith((_SLICE, *_GROUP)) else name.replace("_", " ")
    return spaced[:1].upper() + spaced[1:]


def _short(value: float | None) -> str:
    if value is None:
        return ""
    if value == int(value) and abs(value) >= 1:
        return f"{value:,.0f}"
    return f"{value:.2g}" if 0 < abs(value) < 1e-3 else f"{value:.4g}"


def _sentence(record: EvaluationRecord) -> str:
    mine = record.rankers[record.challenger].metrics[record.metric]
    text = f"{metric_label(record.metric)} is {mine.value:.4f}"
    if mine.low is not None and mine.high is not None:
        text += f" (95% interval {mine.low:.4f} to {mine.high:.4f}) over {mine.users:,} users"
    for name in (CHAMPION, POPULARITY):
        difference = record.overall.differences.get(name)
        if difference is not None and difference.relative is not None:
            text += f", {_compared(difference.relative)} {_article(name)}"
    return text + "."


def _compared(relative: float) -> str:
    """How a value stands to another, to be followed by the other's name.

    >>> _compared(0.053), _compared(-0.2), _compared(1.3)
    ('5.3% above', '20.0% below', '2.3 times that of')
    """
    if relative >= 1:
        return f"{1 + relative:.1f} times that of"
    return f"{abs(relative):.1%} {'above' if relative >= 0 else 'below'}"


def _article(name: str) -> str:
    return f"the {name}" if name == CHAMPION else ranker_name(name)


def _tiles(record: EvaluationRecord) -> list[dict[str, str]]:
    mine = record.rankers[record.challenger]
    names = [f"{metric}@{record.k}" for metric in ("ndcg", "recall", "mrr")]
    names += [f"recall@{k}" for k in record.ks if k != record.k]
    tiles = [
        {"name": metric_label(n), "value": f"{mine.metrics[n].value:.3f}", "note": interval(mine.metrics[n])}
        for n in names[:4]
    ]
    tiles.append(
        {
            "name": f"Coverage@{record.k}",
            "value": f"{mine.coverage:.0%}",
            "note": f"of {record.items:,} items are recommended to somebody",
        }
    )
    tiles.append(
        {
            "name": "Measured on",
            "value": f"{record.targets.users:,} users",
            "note": f"{record.targets.evaluated:,} targets, {record.targets.first[:10]} to "
            f"{record.targets.last[:10]}",
        }
    )
    return tiles


def metrics(inputs: "ReportInputs") -> dict[str, Any] | None:
    """Every ranker on every metric, forest plots, differences, and what was left out."""
    if inputs.evaluation is None:
        return None
    record = inputs.evaluation.record
    names = list(record.rankers[record.challenger].metrics)
    plotted = [record.metric, f"recall@{record.k}"] + [f"recall@{k}" for k in record.ks if k != record.k]
    return {
        "metric": metric_label(record.metric),
        "columns": [metric_label(n) for n in names],
        "rows": [
            {
                "name": ranker_name(ranker),
                "emphasis": ranker == record.challenger,
                "cells": [(f"{r.metrics[n].value:.4f}", interval(r.metrics[n])) for n in names],
            }
            for ranker, r in record.rankers.items()
        ],
        "forests": [_metric_forest(record, n) for n in dict.fromkeys(plotted)],
        "differences": _difference_forest(
            f"Difference in {metric_label(record.metric)}: {ranker_name(record.challenger)} minus each other",
            [(ranker_name(n), d) for n, d in record.overall.differences.items()],
        ),
        "targets": record.targets,
        "skipped": {ranker_name(n): reason for n, reason in record.skipped.items()},
        "protocol": record.protocol.replace("_", "-"),
        "bootstrap": record.bootstrap,
    }


@dataclass(frozen=True)
class SliceRow:
    """One slice: the challenger's level, and its difference from the reference where there is one."""

    name: str
    users: str
    level: Bar
    difference: Bar | None
    relative: str
    emphasis: bool


def slices(inputs: "ReportInputs") -> dict[str, Any] | None:
    """Each slice, in groups by attribute: the challenger's level beside its difference."""
    if inputs.evaluation is None:
        return None
    record = inputs.evaluation.record
    reference = CHAMPION if CHAMPION in record.rankers else POPULARITY
    measured = [s for s in record.slices if s.users]
    levels = {s.name: s.metrics[record.challenger][record.metric] for s in measured}
    against = {s.name: s.differences[reference] for s in measured if reference in s.differences}
    level_span = span_of((v for e in levels.values() for v in (e.low, e.value, e.high)), floor=0.0)
    span = span_of((v for d in against.values() for v in (d.low, d.value, d.high, 0.0)), floor=None)
    groups: dict[str, list[SliceRow]] = {}
    for part in measured:
        level, difference = levels[part.name], against.get(part.name)
        standard = part.name == part.attribute
        groups.setdefault("" if standard else part.attribute, []).append(
            SliceRow(
                name=part.name.capitalize() + (f": {part.label}" if part.name != ALL else " targets")
                if standard
                else part.label,
                users=f"{part.users:,}",
                level=bar(level.value, level.low, level.high, *level_span, "accent"),
                difference=None if difference is None else difference_bar(difference, span),
                relative=""
                if difference is None or difference.relative is None
                else f"{difference.relative:+.1%}",
                emphasis=part.name == ALL,
            )
        )
    return {
        "metric": metric_label(record.metric),
        "reference": _article(reference),
        "compared": bool(against),
        "groups": list(groups.items()),
        "scales": ([short(v) for v in level_span], [short(v) for v in span]),
        "empty": [s.name for s in record.slices if not s.users],
        "rows": [
            {
                "name": s.name,
                "users": f"{s.users:,}",
                "targets": f"{s.targets:,}",
                "values": [
                    (f"{s.metrics[r][record.metric].value:.4f}", interval(s.metrics[r][record.metric]))
                    for r in record.rankers
                ],
            }
            for s in measured
        ],
        "columns": [ranker_name(r) for r in record.rankers],
    }


def exposure(inputs: "ReportInputs") -> dict[str, Any] | None:
    """Popularity of what is recommended against what was consumed."""
    if inputs.evaluation is None:
        return None
    record, table = inputs.evaluation.record, inputs.evaluation.exposure
    counts: dict[str, npt.NDArray[np.int64]] = {
        f"{ranker_name(name)}": table[SHOWN + name].to_numpy() for name in record.rankers
    }
    train = table[TRAIN_COUNT].to_numpy()
    consumed = {"training": train, "holdout": table[TARGET_COUNT].to_numpy()}
    curves = {name: lorenz(values) for name, values in (counts | {"training": train}).items()}
    shares = {f"{name} (consumed)": _head_to_tail(v, train) for name, v in consumed.items()}
    shares |= {name: _head_to_tail(v, train) for name, v in counts.items()}
    return {
        "k": record.k,
        "lorenz": plots.lorenz_curves("Lorenz curves of what each ranker shows", curves),
        "shares": plots.stacked_shares(
            "Share of what is consumed and recommended, by popularity of the item",
            shares,
            [name for name, _ in _PARTS],
        ),
        "rows": [
            {
                "name": ranker_name(name),
                "emphasis": name == record.challenger,
                "coverage": f"{r.coverage:.1%}",
                "concentration": f"{r.concentration:.3f}",
                "novelty": f"{r.novelty:.2f}",
                "popularity": f"{r.popularity:,.1f}",
                "short": f"{r.short_lists:,}",
            }
            for name, r in record.rankers.items()
        ],
    }


def _head_to_tail(counts: npt.NDArray[np.int64], train: npt.NDArray[np.int64]) -> list[float]:
    ordered = counts[np.argsort(-train, kind="stable")]
    total = max(int(ordered.sum()), 1)
    edges = [0, *(max(n, math.ceil(share * len(ordered))) for n, (_, share) in enumerate(_PARTS, start=1))]
    return [float(ordered[a:b].sum() / total) for a, b in pairwise(edges)]


def _metric_forest(record: EvaluationRecord, metric: str) -> Forest:
    estimates = {name: r.metrics[metric] for name, r in record.rankers.items()}
    low, high = span_of((v for e in estimates.values() for v in (e.low, e.value, e.high)), floor=0.0)
    rows = [
        Row(
            ranker_name(name),
            "",
            bar(e.value, e.low, e.high, low, high, "accent" if name == record.challenger else "plain"),
            name == record.challenger,
        )
        for name, e in sorted(estimates.items(), key=lambda entry: -entry[1].value)
    ]
    return Forest(metric_label(metric), rows, short(low), short(high))


def _difference_forest(title: str, differences: Sequence[tuple[str, Difference]]) -> Forest | None:
    if not differences:
        return None
    span = span_of((v for _, d in differences for v in (d.low, d.value, d.high, 0.0)), floor=None)
    rows = [
        Row(name, f"{d.relative:+.1%}" if d.relative is not None else "", difference_bar(d, span), False)
        for name, d in differences
    ]
    return Forest(title, rows, short(span[0]), short(span[1]))
