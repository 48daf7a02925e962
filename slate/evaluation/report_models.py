"""What the report says about the models: learning curves, the ranker's probabilities, the index."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from slate.evaluation import plots
from slate.pages import charts

if TYPE_CHECKING:
    from slate.evaluation.report_inputs import ReportInputs

#: Numbers of an epoch's record that are no learning curve.
_NOT_CURVES: Final = frozenset({"epoch", "seconds", "learning_rate", "steps", "examples"})
_MICRO: Final = 1e6
_HEADINGS: Final = {"auc": "AUC", "f1": "F1"}


def learning(inputs: "ReportInputs") -> list[dict[str, Any]]:
    """Loss and validation curves of each model, and what its training was."""
    parts = []
    for name, training in (("Two-tower retrieval", inputs.two_tower), ("Ranker", inputs.ranker)):
        epochs = _records(training, "epochs", "history", "records")
        curves = [key for key in _numeric_keys(epochs) if key not in _NOT_CURVES]
        losses = [key for key in curves if "loss" in key]
        others = [key for key in curves if "loss" not in key]
        best = _number(training, "best_epoch")
        parts.append(
            {
                "name": name,
                "known": bool(training),
                "charts": [
                    _curves(f"{name}: {what}", epochs, keys, best, ylabel)
                    for what, keys, ylabel in (("loss", losses, "loss"), ("validation", others, "metric"))
                    if keys
                ],
                "facts": _facts(training, len(epochs), best),
            }
        )
    return parts


def _curves(
    title: str, epochs: Sequence[Mapping[str, Any]], keys: Sequence[str], best: float | None, ylabel: str
) -> dict[str, Any]:
    x = [float(e.get("epoch", n)) for n, e in enumerate(epochs, start=1)]
    series = {key.replace("_", " "): [_finite(e.get(key)) for e in epochs] for key in keys}
    label = next(iter(series)) if len(series) == 1 else ylabel
    return {"title": title, "svg": charts.lines(title, x, series, "epoch", label, best)}


def _facts(training: Mapping[str, Any] | None, epochs: int, best: float | None) -> list[tuple[str, str]]:
    if not training:
        return []
    facts = [("epochs", f"{epochs}")] if epochs else []
    if best is not None:
        facts.append(("best epoch", f"{best:.0f}"))
    for key, unit in (("wall_seconds", " s"), ("seconds", " s"), ("wall_time", " s")):
        value = _number(training, key)
        if value is not None:
            facts.append(("training time", f"{value:,.0f}{unit}"))
            break
    for key in ("parameters", "seed", "loss", "model", "rows", "positives"):
        value = training.get(key)
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            facts.append((key, f"{value:,}" if isinstance(value, int) and key != "seed" else str(value)))
    return facts


def ranker(inputs: "ReportInputs") -> dict[str, Any] | None:
    """Calibration, confusion matrices and errors of the ranking model."""
    metrics = inputs.ranker_metrics
    if not metrics:
        return None
    events = {name: m for name, m in _by_event(metrics).items() if isinstance(m, Mapping)}
    bins = {name: points for name, m in events.items() if (points := _bins(m))}
    value = metrics.get("value") if isinstance(metrics.get("value"), Mapping) else metrics
    columns = ("auc", "log_loss", "f1", "threshold", "precision", "recall", "calibration_error")
    used = [c for c in columns if any(_number(m, c) is not None for m in events.values())]
    return {
        "calibration": plots.calibration("Predicted probability against observed rate", bins)
        if bins
        else None,
        "confusions": [
            {"name": name, "cells": cells} for name, m in events.items() if (cells := _confusion(m))
        ],
        "columns": [_HEADINGS.get(c, c.replace("_", " ").capitalize()) for c in used],
        "rows": [(name, [_shown(_number(m, c)) for c in used]) for name, m in events.items()],
        "facts": [
            (label, _shown(found))
            for label, source, key in (
                ("NDCG of its lists", metrics, "ndcg"),
                ("RMSE of the value", value, "rmse"),
                ("MAE of the value", value, "mae"),
            )
            if (found := _number(source, key)) is not None
        ],
    }


def _by_event(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    events = metrics.get("events")
    if isinstance(events, Mapping):
        return events
    return {"positive": metrics}


def _bins(metrics: Mapping[str, Any]) -> list[tuple[float, float, float]]:
    points = []
    for entry in _records(metrics, "calibration", "bins"):
        found = [_number(entry, key) for key in ("predicted", "observed")]
        count = next((c for key in ("count", "rows", "n") if (c := _number(entry, key)) is not None), 1.0)
        if found[0] is not None and found[1] is not None and count > 0:
            points.append((found[0], found[1], count))
    return sorted(points)


def _confusion(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Four cells, row by row: actually no (predicted no, yes), actually yes (predicted no, yes)."""
    raw = metrics.get("confusion", metrics.get("confusion_matrix"))
    if isinstance(raw, Mapping):
        keys = (
            ("tn", "true_negative"),
            ("fp", "false_positive"),
            ("fn", "false_negative"),
            ("tp", "true_positive"),
        )
        cells = [next((c for k in pair if (c := _number(raw, k)) is not None), None) for pair in keys]
    elif isinstance(raw, Sequence) and len(raw) == 2 and all(len(row) == 2 for row in raw):
        cells = [_finite(value) for row in raw for value in row]
    else:
        return []
    if any(c is None for c in cells):
        return []
    counts = [float(c) for c in cells if c is not None]
    shares = [counts[n] / max(counts[n - n % 2] + counts[n - n % 2 + 1], 1.0) for n in range(4)]
    return [
        {"count": f"{c:,.0f}", "share": f"{s:.0%}", "shade": round(100 * s)}
        for c, s in zip(counts, shares, strict=True)
    ]


def index(inputs: "ReportInputs") -> dict[str, Any] | None:
    """What the index is, and recall against latency over the settings tried."""
    described = inputs.index
    if not described:
        return None
    recall, target = _number(described, "recall"), _number(described, "recall_target")
    k = described.get("k")
    facts = [(key, str(described[key])) for key in ("kind", "size", "dim") if described.get(key) is not None]
    if recall is not None:
        facts.append((f"recall@{k} against exact", f"{recall:.2%}"))
    if target is not None:
        facts.append(("target", f"{target:.0%}"))
    latency = _latency(described.get("latency"))
    facts += [(f"latency {name}", f"{value:,.0f} µs") for name, value in latency.items()]
    parameters = described.get("parameters")
    if isinstance(parameters, Mapping):
        facts += [(str(key).replace("_", " "), str(value)) for key, value in parameters.items()]
    return {"facts": facts, "curve": _curve(described, recall, target, latency)}


def _curve(
    described: Mapping[str, Any], recall: float | None, target: float | None, latency: Mapping[str, float]
) -> Markup | None:
    points = []
    for entry in _records(described, "curve"):
        found = _number(entry, "recall")
        times = _latency(entry.get("latency", entry))
        if found is not None and times:
            points.append((next(iter(times.values())), found))
    if not points:
        return None
    chosen = None
    if recall is not None and latency:
        chosen = (next(iter(latency.values())), recall)
    return plots.recall_latency(
        "Index recall against search time",
        [p[0] for p in points],
        [p[1] for p in points],
        target,
        chosen,
        "µs, median",
    )


def _latency(raw: object) -> dict[str, float]:
    """Latencies in microseconds by name, the median first, from seconds, milliseconds or microseconds."""
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return {"median": _MICRO * raw}
    found: dict[str, float] = {}
    if isinstance(raw, Mapping):
        for key, value in raw.items():
            number = _finite(value)
            name = str(key)
            scale = (
                1.0
                if name.endswith("_us")
                else 1e3
                if name.endswith("_ms")
                else _MICRO
                if name.endswith("_s")
                else None
            )
            if number is not None and scale is not None:
                found[name.rsplit("_", 1)[0].replace("latency_", "")] = scale * number
    return dict(sorted(found.items(), key=lambda entry: entry[1]))


def _records(source: Mapping[str, Any] | None, *keys: str) -> list[Mapping[str, Any]]:
    for key in keys:
        value = (source or {}).get(key)
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [entry for entry in value if isinstance(entry, Mapping)]
    return []


def _numeric_keys(records: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        key
        for key in dict.fromkeys(k for r in records for k in r)
        if any(_finite(r.get(key)) is not None for r in records)
    ]


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _number(source: object, key: str) -> float | None:
    return _finite(source.get(key)) if isinstance(source, Mapping) else None


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
