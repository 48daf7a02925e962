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
from slate.rollout.report.series import Counts, Point, Segment
from slate.rollout.state import Move
from slate.rollout.traffic.driver import BUCKETS

#: Inches; a page's whole width.
WIDE: Final = 9.3
STABLE_COLOUR: Final = SERIES[5]
CANDIDATE_COLOUR: Final = SERIES[0]
#: Bounds of a sequence's first looks are far out: this quantile of them is still shown.
_SHOWN: Final = 0.8
#: Lines of fewer points mark each; of very few, bounds are bars.
_MARKED: Final = 25
_FEW: Final = 8
#: Names of marks need this share of the width.
_APART: Final = 0.02


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
        axes.set_ylabel("% of users")
        _time(axes, x)
        _marks(axes, _labels(moves))
        return svg(drawing, title)


def sequence(title: str, segment: Segment, ylabel: str, least: float = 0.0) -> Markup:
    """A difference and its bounds, look by look, within one step; ``least`` is what it is compared with."""
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure()
        _band(axes, segment)
        axes.axhline(least, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        _limits(axes, [segment], (0.0, least))
        axes.set_ylabel(ylabel)
        _time(axes, [point.at for point in segment.points])
        return svg(drawing, title)


def against_threshold(title: str, segments: Sequence[Segment], ylabel: str, bounds: bool = True) -> Markup:
    """A figure, its bounds and the threshold that it must not pass, over all steps."""
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure(height=2.5)
        _time(axes, [point.at for segment in segments for point in segment.points])
        thresholds = []
        for segment in segments:
            _band(axes, segment, bounds)
            known = [point for point in segment.points if math.isfinite(point.threshold)]
            if known:
                thresholds.append(known[-1].threshold)
                _threshold(axes, known[0].at, known[-1].at, thresholds[-1])
        lowest = None if bounds else -2 * max(thresholds, default=0.0)
        _limits(axes, segments, (0.0, *thresholds), bounds, lowest)
        axes.set_ylabel(ylabel)
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
            marker = "o" if len(at) < _MARKED else None
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
    if bounds and len(at) < _FEW:
        axes.vlines(at, low, high, color=CANDIDATE_COLOUR, alpha=0.35, linewidth=4)
    elif bounds:
        axes.fill_between(at, low, high, color=CANDIDATE_COLOUR, alpha=0.18, linewidth=0)
    marker = "o" if len(at) < _MARKED else None
    axes.plot(at, values, marker=marker, ms=3, linewidth=1.4, color=CANDIDATE_COLOUR)


def _threshold(axes: Any, first: datetime, last: datetime, threshold: float) -> None:
    """Over one step, and at least as long as can be seen."""
    low, high = axes.get_xlim()
    least = (high - low) / 20
    start, end = dates.date2num(first), dates.date2num(last)
    pad = max(least - (end - start), 0) / 2
    style = {"color": SERIES[4], "linewidth": 1.2, "linestyle": (0, (4, 3))}
    axes.plot([start - pad, end + pad], [threshold, threshold], **style)


def _limits(
    axes: Any,
    segments: Sequence[Segment],
    also: Sequence[float],
    bounds: bool = True,
    lowest: float | None = None,
) -> None:
    """All of the figures, and most of their bounds: those of a step's first looks are far out."""
    points = [point for segment in segments for point in segment.points]
    low, high = (_known(points, name) for name in (("low", "high") if bounds else ("value", "value")))
    values = [*also, *_known(points, "value")]
    bottom = min([*values, *([float(np.quantile(low, 1 - _SHOWN))] if low else [])])
    top = max([*values, *([float(np.quantile(high, _SHOWN))] if high else [])])
    if lowest is not None:
        bottom = max(bottom, lowest)
    pad = 0.08 * (top - bottom) or 1.0
    axes.set_ylim(bottom - pad, top + pad)


def _known(points: Sequence[Point], name: str) -> list[float]:
    found = [float(getattr(point, name)) for point in points]
    return [each for each in found if math.isfinite(each)]


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
    """A line each; of names that would lie on each other the last is written."""
    low, high = axes.get_xlim()
    places = [(dates.date2num(at) - low) / (high - low) for at, _ in labels]
    for (at, text), place, after in zip(labels, places, [*places[1:], math.inf], strict=True):
        axes.axvline(at, color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
        if after - place < _APART:
            continue
        late = place > 1 - _APART
        axes.annotate(
            text, (dates.date2num(at), 1), xycoords=("data", "axes fraction"), xytext=(-3 if late else 3, -3),
            va="top", ha="right" if late else "left", textcoords="offset points", color=MUTED, fontsize=8,
            rotation=90,
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
