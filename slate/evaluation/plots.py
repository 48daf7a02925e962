"""Charts that only an evaluation needs."""

from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

from slate.pages.charts import INK, MUTED, SERIES, STYLE, SURFACE, Floats, figure, svg

_SPANS: Final = {"1 s": 1, "1 min": 60, "1 h": 3_600, "1 d": 86_400, "30 d": 2_592_000, "1 y": 31_557_600}
_COUNTS: Final = {f"{10**n:,}": 10**n for n in range(10)}
_DAYS_OF_A_YEAR: Final = 365.2425
#: Numbers further apart than this are drawn on a logarithmic scale, where that is of use to them.
_WIDE: Final = 50.0


def lorenz_curves(title: str, curves: Mapping[str, tuple[Floats, Floats]]) -> Markup:
    """Share of what is shown against share of items, least shown first; the diagonal is even."""
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure(height=3.2)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate("even", (0.62, 0.66), color=MUTED, fontsize=8, rotation=32)
        for n, (name, (share, held)) in enumerate(curves.items()):
            axes.plot(share, held, label=name, color=SERIES[n % 7], linewidth=2.2 if n == 0 else 1.4)
        axes.set(xlabel="share of items, least shown first", ylabel="share of what is shown")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.legend(loc="upper left")
        return svg(drawing, title)


def stacked_shares(title: str, rows: Mapping[str, Sequence[float]], parts: Sequence[str]) -> Markup:
    """One horizontal bar a row, split into shares that add up to 1, from head to tail."""
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure(height=0.9 + 0.34 * len(rows))
        names = list(rows)
        places = np.arange(len(names))[::-1]
        left = np.zeros(len(names))
        shades = np.linspace(1.0, 0.16, len(parts))
        for n, part in enumerate(parts):
            widths = np.array([rows[name][n] for name in names])
            axes.barh(
                places, widths, left=left, height=0.62, color=SERIES[0], alpha=shades[n],
                label=part, edgecolor="none",
            )  # fmt: skip
            for place, start, width in zip(places, left, widths, strict=True):
                if width >= 0.065:
                    text = SURFACE if shades[n] > 0.6 else INK
                    axes.text(
                        start + width / 2, place, f"{width:.0%}", ha="center", va="center", fontsize=7.5,
                        color=text,
                    )  # fmt: skip
            left += widths
        axes.set_yticks(places, names)
        axes.set_xlim(0, 1)
        axes.xaxis.set_visible(False)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.legend(
            loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=len(parts), fontsize=7.2,
            handlelength=0.9, columnspacing=0.9, handletextpad=0.4,
        )  # fmt: skip
        return svg(drawing, title)


def calibration(title: str, bins: Mapping[str, Sequence[tuple[float, float, float]]]) -> Markup:
    """Observed rate against predicted probability: (predicted, observed, count) bins by event."""
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure(height=3.2)
        every = [value for points in bins.values() for p, o, _ in points for value in (p, o)]
        top = min(1.0, 1.08 * max(every, default=1.0)) or 1.0
        axes.plot([0, top], [0, top], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        for n, (name, points) in enumerate(bins.items()):
            predicted, observed, counts = (np.asarray(c, float) for c in zip(*points, strict=True))
            axes.plot(predicted, observed, color=SERIES[n % 7], label=name)
            sizes = 10 + 60 * counts / max(counts.max(), 1)
            axes.scatter(predicted, observed, s=sizes, color=SERIES[n % 7], alpha=0.7, linewidths=0)
        axes.set(xlabel="predicted probability", ylabel="observed rate", xlim=(0, top), ylim=(0, top))
        axes.legend(loc="upper left")
        return svg(drawing, title)


def recall_latency(
    title: str,
    latencies: Sequence[float],
    recalls: Sequence[float],
    target: float | None,
    chosen: tuple[float, float] | None,
    unit: str,
) -> Markup:
    """The settings tried: recall against search time; the one kept, and the recall asked for."""
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure()
        order = np.argsort(latencies)
        axes.plot(
            np.asarray(latencies)[order], np.asarray(recalls)[order], marker="o", ms=4, color=SERIES[0],
            label="tried",
        )  # fmt: skip
        if chosen is not None:
            axes.scatter(
                *chosen, s=90, facecolors="none", edgecolors=SERIES[2], linewidths=2, zorder=5, label="kept"
            )
        if target is not None:
            axes.axhline(target, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="target")
        axes.set(xlabel=f"search time, {unit}", ylabel="recall against exact search")
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.legend(loc="lower right")
        return svg(drawing, title)


def dependence(
    title: str,
    scale: str,
    x: Sequence[float],
    mean: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    top: float,
) -> Markup:
    """A mean over the values of a number, within its band, from 0 to ``top``.

    ``scale`` says what ``x`` is: a ``number``, a ``count``, a ``duration`` in seconds or an ``instant`` in
    days since the epoch.
    """
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure(3.4, 2.0)
        axes.fill_between(x, low, high, color=SERIES[0], alpha=0.18, linewidth=0)
        axes.plot(x, mean, color=SERIES[0], marker="o", ms=2.5)
        axes.set(ylim=(0, top))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        marks = {"duration": _SPANS, "count": {"0": 0, **_COUNTS}}.get(scale)
        if marks and max(x) > _WIDE * max(min(x), 1.0):
            seen = {name: place for name, place in marks.items() if min(x) <= place <= max(x)}
            axes.set_xscale("symlog", linthresh=1.0)
            axes.set_xlim(min(x), max(x))
            axes.xaxis.set_major_locator(FixedLocator(list(seen.values())))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(FuncFormatter(lambda _, at: list(seen)[at or 0]))
        elif scale == "instant":
            axes.xaxis.set_major_formatter(
                FuncFormatter(lambda day, _: f"{1970 + day / _DAYS_OF_A_YEAR:.4g}")
            )
        elif scale == "duration":
            axes.set_xlabel("seconds")
        return svg(drawing, title)
