"""The results as one picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.serving.contenders import SLATE, STOCK

_OURS, _STOCK, _OTHERS, _MUTED = "#2563eb", "#dc7a1f", "#94a3b8", "#64748b"


def draw(results: Mapping[str, Any], out: Path) -> bool:
    """Write an SVG of the first world: capacity, latency, overload. False where there is nothing to draw."""
    worlds = [(n, w) for n, w in results.get("worlds", {}).items() if "capacity" in w]
    if not worlds:
        return False
    name, world = worlds[0]
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(11, 3.6), layout="constrained")
        parts = figure.subplots(1, 3)
        _capacity(parts[0], world)
        _latency(parts[1], world, results["facts"]["deadline_ms"])
        _overload(parts[2], world)
        figure.suptitle(f"{name}, one core for the server", x=0.01, ha="left")
        with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
            figure.savefig(out, format="svg", metadata={"Date": None}, facecolor="white")
    return True


def _capacity(axes: Any, world: Mapping[str, Any]) -> None:
    names = list(world["capacity"])
    values = [world["capacity"][name]["saturation"] or 0 for name in names]
    axes.barh(names[::-1], values[::-1], color=_colours(names)[::-1])
    if "bare" in world:
        limit = max(each["requests_per_s"] for each in world["bare"].values())
        axes.axvline(limit, color=_MUTED, linestyle="--")
        axes.annotate("the stages alone", (limit, len(names) - 0.45), ha="right", color=_MUTED)
    axes.set_xlabel("sustained requests/s")


def _latency(axes: Any, world: Mapping[str, Any], most: float) -> None:
    """Up to ``most`` milliseconds: a server that is overloaded at this rate must not hide the others."""
    told = world.get("latency", {}).get("shared")
    if told is None:
        axes.set_axis_off()
        return
    names = [name for name, each in told["servers"].items() if each["p99"]]
    for share, alpha in (("p99", 0.45), ("p50", 1.0)):
        values = [told["servers"][name][share] for name in names]
        axes.barh(names[::-1], values[::-1], color=_colours(names)[::-1], alpha=alpha)
    slowest = max((told["servers"][name]["p99"] for name in names), default=1.0)
    axes.set_xlim(0, min(1.05 * slowest, most))
    for place, name in enumerate(names[::-1]):
        if told["servers"][name]["p99"] > most:
            axes.annotate("and more", (most, place), ha="right", va="center", color="white")
    axes.set_xlabel(f"ms at {told['rate']:.0f} requests/s: p50 (dark), p99 (light)")


def _overload(axes: Any, world: Mapping[str, Any]) -> None:
    steps = world.get("overload")
    if not steps:
        axes.set_axis_off()
        return
    x = range(len(steps))
    axes.bar(x, [step["goodput"] for step in steps], color=_OURS)
    axes.set_xticks(x, [f"{step['multiple']}x" for step in steps])
    axes.set_xlabel("offered, in multiples of saturation")
    axes.set_ylabel("goodput, requests/s")


def _colours(names: list[str]) -> list[str]:
    return [{SLATE: _OURS, STOCK: _STOCK}.get(name, _OTHERS) for name in names]
