"""What the report says about groups: the quality users get, and the exposure items get."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from slate.evaluation.forest import (
    Forest,
    Row,
    bar,
    difference_bar,
    interval,
    metric_label,
    short,
    span_of,
)
from slate.evaluation.gate_fairness import EXPOSURE_GAP, QUALITY_GAP
from slate.evaluation.intervals import Difference, Estimate, GroupDifference
from slate.evaluation.record import EvaluationRecord, ItemGroup, UserGroup
from slate.release.verdict import Check

if TYPE_CHECKING:
    from slate.evaluation.report_inputs import ReportInputs

_UNKNOWN: Final = "–"
#: A value, and what is known of its uncertainty in small print.
Cell = tuple[str, str]


def fairness(inputs: "ReportInputs") -> dict[str, Any] | None:
    """Groups of users and of items by attribute; None where they were not measured."""
    record = inputs.evaluation.record if inputs.evaluation else None
    if record is None or record.fairness is None:
        return None
    checks = {check.name: check for check in inputs.verdict.checks} if inputs.verdict else {}
    names = [record.metric, f"recall@{record.k}"]
    users = groupby(record.fairness.users, key=lambda group: group.attribute)
    items = groupby(record.fairness.items, key=lambda group: group.attribute)
    return {
        "k": record.k,
        "metrics": [metric_label(name) for name in names],
        "head_items": record.fairness.head_items,
        "limits": _limits(inputs, record),
        "users": [_users(attribute, list(groups), names, checks) for attribute, groups in users],
        "items": [_items(attribute, list(groups), checks) for attribute, groups in items],
    }


def _limits(inputs: "ReportInputs", record: EvaluationRecord) -> list[str]:
    """What the gate tolerates, in sentences."""
    gate = inputs.gate
    if gate is None:
        return []
    return [
        f"A group of users is refused below {1 - gate.quality_gap:.0%} of the {metric_label(record.metric)} "
        "of all others."
        if gate.quality_gap is not None
        else "Gaps in quality between groups of users are not judged.",
        f"A group of items is refused below {1 - gate.exposure_gap:.0%} of the exposure that it merits."
        if gate.exposure_gap is not None
        else "Gaps in exposure between groups of items are not judged.",
        f"Groups of fewer than {gate.min_slice_users} users are not judged, and a gap that chance could "
        "make among so many groups refuses nothing.",
    ]


def _users(
    attribute: str, groups: Sequence[UserGroup], names: Sequence[str], checks: dict[str, Check]
) -> dict[str, Any]:
    return {
        "attribute": attribute,
        "forests": [forest for name in names if (forest := _gaps(name, groups))],
        "rows": [
            {
                "name": group.label,
                "users": f"{group.users:,}",
                "targets": f"{group.targets:,}",
                "cells": [_estimate(group.metrics[name], "{:.4f}") for name in names]
                + [_gap(group.differences.get(name)) for name in names],
                "gate": _gate(checks.get(QUALITY_GAP + group.name), "{:+.4f}"),
            }
            for group in groups
        ],
        "shown": [
            {
                "name": group.label,
                "cells": [
                    (f"{group.coverage:.1%}", ""),
                    _estimate(group.novelty, "{:.2f}"),
                    _estimate(group.popularity, "{:,.1f}"),
                    _estimate(group.head, "{:.1%}"),
                ],
            }
            for group in groups
        ],
    }


def _gaps(metric: str, groups: Sequence[UserGroup]) -> Forest | None:
    found = [(g, g.differences[metric]) for g in groups if metric in g.differences]
    if not found:
        return None
    span = span_of(_ends(d for _, d in found), floor=None)
    rows = [
        Row(group.label, _relative(difference.relative), difference_bar(difference, span), emphasis=False)
        for group, difference in found
    ]
    return Forest(f"{metric_label(metric)}: the group minus all others", rows, short(span[0]), short(span[1]))


def _items(attribute: str, groups: Sequence[ItemGroup], checks: dict[str, Check]) -> dict[str, Any]:
    return {
        "attribute": attribute,
        "forest": _ratios(groups),
        "rows": [
            {
                "name": group.label,
                "items": f"{group.items:,}",
                "users": f"{group.users:,}",
                "cells": [
                    (f"{group.catalogue:.1%}", ""),
                    (f"{group.exposure.reference:.1%}", ""),
                    (f"{group.exposure.challenger:.1%}", ""),
                    _points(group.exposure),
                    _ratio(group.exposure),
                ],
                "gate": _gate(checks.get(EXPOSURE_GAP + group.name), "{:.2f}"),
            }
            for group in groups
        ],
    }


def _ratios(groups: Sequence[ItemGroup]) -> Forest | None:
    """Exposure over merit; the dashed line is 1, where they are equal."""
    found = [(g, g.exposure, 1 + g.exposure.relative) for g in groups if g.exposure.relative is not None]
    if not found:
        return None
    ends = [_above(e) for _, d, _ in found for e in (d.relative_low, d.relative, d.relative_high)]
    span = span_of([*ends, 1.0], floor=0.0)
    rows = []
    for group, difference, ratio in found:
        low, high = _above(difference.relative_low), _above(difference.relative_high)
        drawn = bar(ratio, low, high, *span, _tone(low, high), reference=1.0)
        rows.append(Row(group.label, f"{group.catalogue:.0%} of the items", drawn, emphasis=False))
    return Forest("Exposure over merit", rows, short(span[0]), short(span[1]))


def _above(relative: float | None) -> float | None:
    return None if relative is None else 1 + relative


def _tone(low: float | None, high: float | None) -> str:
    if high is not None and high < 1:
        return "bad"
    return "good" if low is not None and low > 1 else "plain"


def _ends(differences: Iterable[GroupDifference]) -> list[float | None]:
    return [v for d in differences for v in (d.low, d.value, d.high, 0.0)]


def _estimate(estimate: Estimate | None, form: str) -> Cell:
    if estimate is None:
        return _UNKNOWN, ""
    if estimate.low is None or estimate.high is None:
        return form.format(estimate.value), interval(estimate)
    return form.format(estimate.value), f"{form.format(estimate.low)} – {form.format(estimate.high)}"


def _gap(difference: GroupDifference | None) -> Cell:
    if difference is None:
        return _UNKNOWN, "no others"
    return f"{difference.value:+.4f}", _between(difference.low, difference.high, "{:+.4f}")


def _points(difference: Difference) -> Cell:
    return f"{difference.value:+.1%}", _between(difference.low, difference.high, "{:+.1%}")


def _ratio(difference: Difference) -> Cell:
    if difference.relative is None:
        return _UNKNOWN, "nobody wanted one"
    low, high = _above(difference.relative_low), _above(difference.relative_high)
    return f"{1 + difference.relative:.2f}", _between(low, high, "{:.2f}")


def _between(low: float | None, high: float | None, form: str) -> str:
    return "no interval" if low is None or high is None else f"{form.format(low)} – {form.format(high)}"


def _relative(value: float | None) -> str:
    return "" if value is None else f"{value:+.1%}"


def _gate(check: Check | None, form: str) -> Cell:
    """What the gate made of a group, and the difference it tolerates."""
    if check is None:
        return "not judged", ""
    if check.threshold is None:
        return ("too few users" if check.passed else "refused"), ""
    return ("passed" if check.passed else "refused"), f"limit {form.format(check.threshold)}"
