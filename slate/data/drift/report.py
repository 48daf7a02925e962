"""The drift report: the newest comparison in full, and every figure over the last releases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from slate.data.drift.figures import Drift, Figure, Shares
from slate.pages.render import render as page

_CHARTS: Final = 6
_BARS: Final = 12


@dataclass(frozen=True)
class Comparison:
    """One release, or this snapshot, against the release before it."""

    release: str
    parent: str
    drift: Drift


def render(name: str, comparisons: Sequence[Comparison], notes: Sequence[str]) -> str:
    """The page as HTML text. ``comparisons`` are newest first; ``name`` is the data set's."""
    newest = comparisons[0].drift if comparisons else None
    return page(
        "slate.data",
        "drift.html.j2",
        name=name,
        comparisons=comparisons,
        newest=newest,
        notes=notes,
        history=_history(comparisons),
        features=_features(newest) if newest else [],
    )


def shown(figure: Figure | None) -> str:
    """A figure's value as text."""
    if figure is None or figure.value is None:
        return "–"
    return f"{figure.value:.3f}" if figure.value != int(figure.value) else f"{figure.value:.0f}"


def _history(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """One row a figure: its value in each comparison, oldest first."""
    if not comparisons:
        return []
    by_key = [{(f.name, f.subject): f for f in c.drift.figures} for c in reversed(comparisons)]
    rows = []
    for figure in comparisons[0].drift.figures:
        cells = [found.get((figure.name, figure.subject)) for found in by_key]
        rows.append(
            {
                "figure": figure,
                "cells": [(shown(c), "" if c is None or c.passed else c.severity) for c in cells],
            }
        )
    return rows


def _features(newest: Drift) -> list[dict[str, Any]]:
    """Distributions of the features that moved most, bins with the largest change first kept in order."""
    size = {f.subject: f.value or 0.0 for f in newest.figures if f.name == "feature"}
    moved = sorted(newest.shares, key=lambda s: -size.get(s.subject, 0.0))[:_CHARTS]
    return [{"subject": s.subject, "index": size.get(s.subject, 0.0), "bars": _bars(s)} for s in moved]


def _bars(shares: Shares) -> list[dict[str, Any]]:
    together = list(zip(shares.bins, shares.before, shares.now, strict=True))
    if len(together) > _BARS:
        kept = {b for b, *_ in sorted(together, key=lambda e: -max(e[1], e[2]))[:_BARS]}
        together = [entry for entry in together if entry[0] in kept]
    most = max((max(b, n) for _, b, n in together), default=1.0) or 1.0
    return [
        {"name": name, "before": b, "now": n, "wide_before": 100 * b / most, "wide_now": 100 * n / most}
        for name, b, n in together
    ]
