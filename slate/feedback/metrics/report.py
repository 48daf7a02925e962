"""Engagement as one HTML page: the whole period first, then day by day."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from markupsafe import Markup

from slate.data.engagement import ALL
from slate.feedback.metrics.engagement import Engagement, Estimate
from slate.pages.render import render as page

_FIGURES = (
    ("engagement", "Engagement per active user"),
    ("positive", "Positive weights per active user"),
    ("negative", "Negative weights per active user"),
    ("return_1", "Back the day after"),
    ("return_7", "Back within seven days"),
)
_HEADINGS = ("Engagement", "Positive", "Negative", "Back in a day", "In seven")
_SHARES = ("return_1", "return_7")


def render(
    name: str, since: date, until: date, periods: Sequence[Engagement], days: Sequence[Engagement]
) -> str:
    """The page as HTML text.

    Args:
        name: the data set's.
        periods: one a variant and slice, of the whole time; ``days`` the same by day.
    """
    return page(
        "slate.feedback",
        "metrics.html.j2",
        name=name,
        since=since,
        until=until,
        headings=_HEADINGS,
        periods=[_row(each) for each in periods],
        days=[_row(each) for each in days],
        charts=_charts(days),
        sliced=any(each.slice != ALL for each in periods),
    )


def shown(estimate: Estimate, share: bool = False) -> tuple[str, str]:
    """A figure and its interval as text.

    >>> shown(Estimate(0.5, 0.25, 0.75, 9), share=True)
    ('50.0%', '25.0 to 75.0')
    """
    if estimate.value is None:
        return "–", ""
    scale, digits, unit = (100, 1, "%") if share else (1, 3, "")
    value = f"{scale * estimate.value:.{digits}f}{unit}"
    if estimate.low is None or estimate.high is None:
        return value, ""
    return value, f"{scale * estimate.low:.{digits}f} to {scale * estimate.high:.{digits}f}"


def _row(found: Engagement) -> dict[str, Any]:
    return {
        "found": found,
        "cells": [shown(getattr(found, figure), figure in _SHARES) for figure, _ in _FIGURES],
    }


def _charts(days: Sequence[Engagement]) -> list[tuple[str, Markup]]:
    """One drawing a figure: a line a variant and slice, where there are few and several days."""
    from slate.pages.charts import lines

    dates = sorted({each.day for each in days if each.day is not None})
    names = sorted({_name(each) for each in days})
    if len(dates) < 2 or len(names) > 7:
        return []
    first = dates[0]
    drawn = []
    for figure, heading in _FIGURES:
        values = {(_name(each), each.day): getattr(each, figure).value for each in days}
        series = {name: [values.get((name, day)) for day in dates] for name in names}
        if any(value is not None for line in series.values() for value in line):
            x = [float((day - first).days) for day in dates]
            drawn.append((heading, lines(heading, x, series, f"days since {first}", "")))
    return drawn


def _name(found: Engagement) -> str:
    return found.variant if found.slice == ALL else f"{found.variant} · {found.slice}"
