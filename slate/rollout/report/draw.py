"""The charts of a rollout's page; instants are UTC."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import matplotlib
import matplotlib.dates as dates
import numpy as np
from markupsafe import Markup

from slate.pages.charts import MUTED, SERIES, STYLE, figure, svg
from slate.rollout.report.series import Counts, Segment
from slate.rollout.state import Move
from slate.rollout.traffic.driver import BUCKETS

#: Inches; a page's whole width.
WIDE: Final = 9.3
STABLE_COLOUR: Final = SERIES[5]
CANDIDATE_COLOUR: Final = SERIES[0]
#: Bounds of a sequence's first looks are far out: this quantile of them is still shown.
_SHOWN: Final = 0.8


def traffic(title: str, moves: Sequence[Move], until: datetime) -> Markup:
    """The share of users that met the candidate, with a mark a step."""
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure(WIDE, 2.5)
        at = [datetime.fromisoformat(move.at) for move in moves]
        shares = [100 * move.threshold / BUCKETS for move in moves]
        x, y = [*at, max(until, at[-1])], [*shares, shares[-1]]
        axes.fill_between(x, y, step="post", color=CANDIDATE_COLOUR, alpha=0.2, linewidth=0)
        axes.plot(x, y, drawstyle="steps-post", color=CANDIDATE_COLOUR)
        axes.set_ylim(0, max(1.25 * max(shares), 1.0))
        _marks(axes, _labels(moves))
        axes.set_ylabel("% of users")
        _time(axes, x)
        return svg(drawing, title)


def sequence(title: str, segment: Segment, ylabel: str) -> Markup:
    """A difference and its bounds, look by look, within one step."""
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure()
        _band(axes, segment)
        axes.axhline(0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        _limits(axes, [segment], (0.0,))
        axes.set_ylabel(ylabel)
        _time(axes, [point.at for point in segment.points])
        return svg(drawing, title)


def against_threshold(title: str, segments: Sequence[Segment], ylabel: str, bounds: bool = True) -> Markup:
    """A figure, its bounds and the threshold that it must not pass, over all steps."""
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure(height=2.5)
        thresholds = []
        for segment in segments:
            _band(axes, segment, bounds)
            known = [point for point in segment.points if math.isfinite(point.threshold)]
            axes.plot(
                [point.at for point in known], [point.threshold for point in known],
                color=SERIES[4], linewidth=1.2, linestyle=(0, (4, 3)),
            )  # fmt: skip
            thresholds += [point.threshold for point in known]
        _limits(axes, segments, (0.0, *thresholds), bounds)
        axes.set_ylabel(ylabel)
        _time(axes, [point.at for segment in segments for point in segment.points])
        return svg(drawing, title)


def by_variant(
    title: str, variants: Mapping[str, Sequence[Counts]], figures: Mapping[str, Sequence[float]], ylabel: str
) -> Markup:
    """One line a variant over time; gaps are NaN."""
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure(height=2.5)
        for name, values in figures.items():
            at = [each.at for each in variants[name]]
            colour = {"stable": STABLE_COLOUR, "candidate": CANDIDATE_COLOUR}.get(name, SERIES[2])
            marker = "o" if len(at) < 25 else None
            axes.plot(at, values, marker=marker, ms=3, linewidth=1.4, label=name, color=colour)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(ylabel)
        axes.legend(loc="best")
        _time(axes, [each.at for counts in variants.values() for each in counts])
        return svg(drawing, title)


def _band(axes: Any, segment: Segment, bounds: bool = True) -> None:
    at = [point.at for point in segment.points]
    values, low, high = (
        np.array([getattr(point, name) for point in segment.points]) for name in ("value", "low", "high")
    )
    if bounds:
        axes.fill_between(at, low, high, color=CANDIDATE_COLOUR, alpha=0.18, linewidth=0)
    marker = "o" if len(at) < 25 else None
    axes.plot(at, values, marker=marker, ms=3, linewidth=1.4, color=CANDIDATE_COLOUR)


def _limits(axes: Any, segments: Sequence[Segment], also: Sequence[float], bounds: bool = True) -> None:
    points = [point for segment in segments for point in segment.points]
    names = ("low", "high") if bounds else ("value",)
    away = np.array([abs(getattr(point, name)) for point in points for name in names])
    away = away[np.isfinite(away)]
    if away.size == 0:
        return
    values = [point.value for point in points if math.isfinite(point.value)]
    reach = max(float(np.quantile(away, _SHOWN)), *(abs(each) for each in also), *(abs(v) for v in values))
    low = -1.1 * reach if bounds or min(values, default=0) < 0 else 0.0
    axes.set_ylim(low or -0.02 * reach, 1.1 * reach or 1.0)


def _labels(moves: Sequence[Move]) -> list[tuple[datetime, str]]:
    """When a step or an end began, named as people name them; moves within a step have no mark."""
    found: list[tuple[datetime, str]] = []
    last = None
    for move in moves:
        name = move.step if move.status in ("shadow", "canary") else str(move.status)
        if name != last:
            text = f"{name}%" if name.replace(".", "", 1).isdigit() else name
            found.append((datetime.fromisoformat(move.at), text))
        last = name
    return found


def _marks(axes: Any, labels: Sequence[tuple[datetime, str]]) -> None:
    for at, text in labels:
        axes.axvline(at, color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
        axes.annotate(
            text, (dates.date2num(at), 1), xycoords=("data", "axes fraction"), xytext=(3, -3), va="top",
            textcoords="offset points", color=MUTED, fontsize=8, rotation=90,
        )  # fmt: skip


def _time(axes: Any, instants: Sequence[datetime]) -> None:
    first, last = min(instants), max(instants)
    pad = max((last - first) * 0.02, timedelta(seconds=0.5))
    axes.set_xlim(first - pad, last + pad)
    locator = dates.AutoDateLocator(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    axes.xaxis.get_offset_text().set_color(MUTED)
    axes.grid(axis="x", visible=False)
