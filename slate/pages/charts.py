"""Charts as inline SVG whose colours are the page's, so that they read in light and in dark.

Figures are drawn with placeholder colours, which become CSS variables; text stays text in the page's
font. Sizes are in inches at 72 units each; the page scales a chart to its column.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import matplotlib
import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

Floats = npt.NDArray[np.float64]

INK: Final = "#010203"
MUTED: Final = "#010204"
GRID: Final = "#010205"
SURFACE: Final = "#010206"
#: Series colours in the order they are handed out; the first is the challenger's.
SERIES: Final = ("#010211", "#010212", "#010213", "#010214", "#010215", "#010216", "#010217")

_VARIABLES: Final = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    SURFACE: "var(--surface)",
    **{colour: f"var(--s{n})" for n, colour in enumerate(SERIES, start=1)},
}
STYLE: Final[dict[str, Any]] = {
    "svg.fonttype": "none",
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.8,
    "path.simplify": True,
}
_SIZE: Final = (4.6, 2.7)


def colour(position: int) -> str:
    """The CSS variable of a series, for legends outside a chart.

    >>> colour(0)
    'var(--s1)'
    """
    return _VARIABLES[SERIES[position % len(SERIES)]]


def figure(width: float = _SIZE[0], height: float = _SIZE[1]) -> tuple[Figure, Any]:
    """An empty figure and its axes; draw inside ``matplotlib.rc_context(STYLE)``."""
    drawing = Figure(figsize=(width, height), layout="constrained")
    return drawing, drawing.add_subplot()


def svg(drawing: Figure, title: str) -> Markup:
    """The figure as inline SVG, labelled for screen readers."""
    buffer = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": title}):
        drawing.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 var(--font)", text)
    for placeholder, variable in _VARIABLES.items():
        text = text.replace(placeholder, variable)
    label = Markup.escape(title)
    # What is left was drawn here; labels were escaped by the SVG writer.
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))  # noqa: S704


def lines(
    title: str,
    x: Sequence[float],
    series: Mapping[str, Sequence[float | None]],
    xlabel: str,
    ylabel: str,
    best: float | None = None,
    first_colour: int = 0,
) -> Markup:
    """One line a series over the same ``x``; ``best`` marks one x. Gaps are None."""
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure()
        for n, (name, values) in enumerate(series.items()):
            heights = [np.nan if v is None else v for v in values]
            marker = "o" if len(x) < 25 else None
            axes.plot(x, heights, marker=marker, ms=3, label=name, color=SERIES[(n + first_colour) % 7])
        if best is not None:
            axes.axvline(best, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(
                "kept", (best, 1), xycoords=("data", "axes fraction"), xytext=(3, -8),
                textcoords="offset points", color=MUTED, fontsize=8,
            )  # fmt: skip
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        if len(series) > 1:
            axes.legend(loc="best")
        return svg(drawing, title)


def area(title: str, labels: Sequence[str], values: Sequence[float], marks: Mapping[str, int]) -> Markup:
    """Counts over time. ``marks`` names positions worth a line, such as the end of training."""
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure(height=2.5)
        places = np.arange(len(values))
        axes.fill_between(places, values, step="mid", color=SERIES[0], alpha=0.3, linewidth=0)
        axes.plot(places, values, drawstyle="steps-mid", color=SERIES[0], linewidth=1.2)
        for name, place in marks.items():
            axes.axvline(place, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(
                name, (place, 1), xycoords=("data", "axes fraction"), xytext=(-3, -3), ha="right", va="top",
                textcoords="offset points", color=MUTED, fontsize=8, rotation=90,
            )  # fmt: skip
        ticks = np.unique(np.linspace(0, len(labels) - 1, min(5, len(labels))).astype(int))
        axes.set_xticks(ticks, [labels[t] for t in ticks])
        axes.set_ylim(bottom=0)
        axes.set_xlim(-0.5, len(values) - 0.5)
        axes.grid(axis="x", visible=False)
        axes.set_ylabel("interactions a day")
        return svg(drawing, title)


def long_tail(title: str, counts: npt.NDArray[np.int64], xlabel: str, ylabel: str) -> Markup:
    """Counts by rank, both axes logarithmic, with where half of everything is reached."""
    ordered = np.sort(counts[counts > 0])[::-1]
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure(height=2.5)
        ranks = np.arange(1, len(ordered) + 1)
        kept = np.unique(np.geomspace(1, len(ordered), 300).astype(int)) - 1
        axes.plot(ranks[kept], ordered[kept], color=SERIES[0])
        half = int(np.searchsorted(np.cumsum(ordered), ordered.sum() / 2)) + 1
        axes.axvline(half, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        share = half / len(ordered)
        axes.annotate(
            f"{share:.1%} make half", (half, 1), xycoords=("data", "axes fraction"),
            xytext=(-4 if share > 0.02 else 4, -4), ha="right" if share > 0.02 else "left", va="top",
            textcoords="offset points", color=MUTED, fontsize=8,
        )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
        for axis, values in ((axes.xaxis, ranks), (axes.yaxis, ordered)):
            axis.set_major_locator(LogLocator(subs=_multiples(values)))
            axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}" if v >= 1 else f"{v:g}"))
        axes.minorticks_off()
        return svg(drawing, title)


def _multiples(values: npt.NDArray[np.int64]) -> tuple[float, ...]:
    """Which multiples of powers of ten a logarithmic axis names: a short one may hold no power of ten.

    >>> _multiples(np.array([1, 2000])), _multiples(np.array([12, 110])), _multiples(np.array([20, 70]))
    ((1.0,), (1.0, 2.0, 5.0), (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0))
    """
    reach = values.max() / values.min() if len(values) else 1.0
    if reach >= 100:
        return (1.0,)
    return (1.0, 2.0, 5.0) if reach >= 5 else tuple(float(n) for n in range(1, 10))
