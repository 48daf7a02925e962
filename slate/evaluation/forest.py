"""Estimates and their intervals on one scale, for the page to draw."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from slate.evaluation.intervals import Difference, Estimate, GroupDifference


@dataclass(frozen=True)
class Bar:
    """An estimate and its interval as percentages of a track, for drawing."""

    text: str
    interval: str
    low: float
    width: float
    dot: float
    zero: float | None
    tone: str


@dataclass(frozen=True)
class Row:
    """One line of a forest plot."""

    name: str
    detail: str
    bar: Bar
    emphasis: bool


@dataclass(frozen=True)
class Forest:
    """Lines over one scale."""

    title: str
    rows: Sequence[Row]
    low: str
    high: str


def span_of(values: Iterable[float | None], floor: float | None) -> tuple[float, float]:
    known = [v for v in values if v is not None]
    if not known:
        return -1.0, 1.0
    low, high = (min(known) if floor is None else floor), max(known)
    pad = 0.04 * (high - low) or 0.01
    return (low if floor is not None else low - pad), high + pad


def bar(
    value: float,
    low: float | None,
    high: float | None,
    start: float,
    end: float,
    tone: str,
    signed: bool = False,
    reference: float | None = None,
) -> Bar:
    """An estimate on a track from ``start`` to ``end``; ``reference`` is marked, as 0 is if ``signed``."""

    def place(v: float) -> float:
        return round(100 * (v - start) / (end - start), 2)

    left = place(value if low is None else low)
    right = place(value if high is None else high)
    text = f"{value:+.4f}" if signed else f"{value:.4f}"
    interval = "" if low is None or high is None else f"95% interval {low:.4f} to {high:.4f}"
    zero = place(0.0) if signed else None if reference is None else place(reference)
    return Bar(text, interval, left, round(right - left, 2), place(value), zero, tone)


def difference_bar(d: Difference | GroupDifference, span: tuple[float, float]) -> Bar:
    tone = "plain"
    if d.low is not None and d.high is not None:
        tone = "good" if d.low > 0 else "bad" if d.high < 0 else "plain"
    return bar(d.value, d.low, d.high, *span, tone, signed=True)


def interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return "too few users"
    return f"{estimate.low:.3f} – {estimate.high:.3f}"


def short(value: float) -> str:
    return f"{value:.2g}"


def metric_label(metric: str) -> str:
    name, _, k = metric.partition("@")
    return f"{name.upper() if name in {'ndcg', 'mrr'} else name.capitalize()}@{k}"


_NAMES: Final[Mapping[str, str]] = {"ease": "EASE", "markov": "Markov chain", "funnel": "whole funnel"}


def ranker_name(name: str) -> str:
    return _NAMES.get(name, name)
