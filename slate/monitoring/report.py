"""A day's report: each release's figures, its history, and what its traffic looked like."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import matplotlib
import numpy as np
from markupsafe import Markup

from slate.data.drift.figures import Shares
from slate.monitoring.calibration import Bucket
from slate.monitoring.figures import WATCHES
from slate.monitoring.record import Record
from slate.pages.render import render as page

_CHARTS: Final = 6
_BARS: Final = 12
_LINES: Final = 7
_TITLES: Final = {
    "data": "Who asks, what they do and what they are shown",
    "prediction": "Scores",
    "calibration": "Calibration",
    "serving": "Serving",
}


def render(
    name: str, day: date, records: Sequence[Record], earlier: Sequence[Record], notes: Sequence[str]
) -> str:
    """The page as HTML text.

    Args:
        name: the data set's.
        records: of the day, one a release.
        earlier: those of the days before and of the day itself, by day.
    """
    return page(
        "slate.monitoring",
        "monitoring.html.j2",
        name=name,
        day=day,
        notes=notes,
        releases=[_release(record, earlier) for record in records],
    )


def number(value: float | None) -> str:
    """A figure's value as text.

    >>> number(0.12345), number(None), number(2.0), number(0.0004)
    ('0.123', '–', '2', '0.0004')
    """
    if value is None:
        return "–"
    return f"{value:.0f}" if value == int(value) else f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.2g}"


def _release(record: Record, earlier: Sequence[Record]) -> dict[str, Any]:
    measured = record.measured
    calibration = measured.calibration
    return {
        "record": record,
        "groups": [
            (_TITLES[kind], [_row(figure) for figure in measured.figures if figure.kind == kind])
            for kind in dict.fromkeys(watch.kind for watch in WATCHES)
        ],
        "history": _history([r for r in earlier if r.release_id == record.release_id]),
        "moved": _moved(record),
        "calibration": calibration,
        "ratio": number(calibration.ratio) if calibration else "",
        "reliability": _reliability(calibration.scores) if calibration else None,
    }


def _row(figure: Any) -> dict[str, Any]:
    return {"figure": figure, "value": number(figure.value), "limit": number(figure.threshold)}


def _history(records: Sequence[Record]) -> list[tuple[str, Markup]]:
    """A drawing a figure over the days, each value over its limit: above 1 it raised its voice."""
    from slate.pages.charts import lines

    days = sorted({record.day for record in records})
    if len(days) < 2:
        return []
    x = [float((day - days[0]).days) for day in days]
    drawn = []
    for watch in WATCHES:
        by_subject: dict[str, dict[date, float]] = {}
        for record in records:
            for figure in record.measured.figures:
                if figure.name == watch.name and figure.value is not None and figure.threshold > 0:
                    by_subject.setdefault(figure.subject or watch.name, {})[record.day] = (
                        figure.value / figure.threshold
                    )
        largest = sorted(by_subject, key=lambda subject: -max(by_subject[subject].values()))[:_LINES]
        if largest:
            series = {subject: [by_subject[subject].get(day) for day in days] for subject in largest}
            drawing = lines(watch.name, x, series, f"days since {days[0]}", "value over limit")
            drawn.append((watch.name, drawing))
    return drawn


def _moved(record: Record) -> list[dict[str, Any]]:
    """The distributions that moved most, measured by their limits."""
    size = {
        f"{f.name} · {f.subject}" if f.subject else f.name: (f.value or 0.0, f.threshold)
        for f in record.measured.figures
    }
    shares = [s for s in record.measured.shares if s.subject in size]
    shares.sort(key=lambda s: -size[s.subject][0] / (size[s.subject][1] or 1.0))
    return [
        {"subject": s.subject, "index": number(size[s.subject][0]), "bars": _bars(s)}
        for s in shares[:_CHARTS]
    ]


def _bars(shares: Shares) -> list[dict[str, Any]]:
    together = [e for e in zip(shares.bins, shares.before, shares.now, strict=True) if e[1] or e[2]]
    if len(together) > _BARS:
        kept = {name for name, *_ in sorted(together, key=lambda e: -max(e[1], e[2]))[:_BARS]}
        together = [entry for entry in together if entry[0] in kept]
    most = max((max(before, now) for _, before, now in together), default=1.0) or 1.0
    return [
        {
            "name": name,
            "before": before,
            "now": now,
            "wide_before": 100 * before / most,
            "wide_now": 100 * now / most,
        }
        for name, before, now in together
    ]


def _reliability(buckets: Sequence[Bucket]) -> Markup:
    """What came against what was expected, by score, with intervals."""
    from slate.pages.charts import MUTED, SERIES, STYLE, figure, svg

    title = "Observed engagement against expected"
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure(height=3.2)
        expected, adjusted, observed, low, high = (
            np.asarray([getattr(bucket, name) for bucket in buckets], np.float64)
            for name in ("expected", "adjusted", "observed", "low", "high")
        )
        ends = [float(min(expected.min(), adjusted.min())), float(max(expected.max(), adjusted.max()))]
        axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        errors = np.maximum([observed - low, high - observed], 0)
        axes.errorbar(
            expected, observed, yerr=errors, color=SERIES[0], marker="o", ms=4, label="as the score says"
        )
        axes.plot(
            adjusted, observed, color=SERIES[1], marker="s", ms=4, linewidth=1, label="scaled by position"
        )
        axes.set(xlabel="expected an item shown", ylabel="observed")
        axes.legend(loc="best")
        return svg(drawing, title)
