"""What the report says about the data, the sample slates and how the run was configured."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from slate import columns
from slate.pages import charts

if TYPE_CHECKING:
    from slate.evaluation.report_inputs import ReportInputs


def overview(inputs: "ReportInputs") -> dict[str, Any]:
    """Counts, time range, event mix, daily volume and the long tails."""
    table = inputs.interactions
    return {
        "facts": _facts(inputs),
        "events": _events(inputs),
        "dropped": _dropped(inputs.dataset),
        "timeline": _timeline(table, inputs.split) if table is not None and table.num_rows else None,
        "activity": _tail(table, columns.USER, "Interactions by user", "users, most active first"),
        "popularity": _tail(table, columns.ITEM, "Interactions by item", "items, most popular first"),
    }


def _facts(inputs: "ReportInputs") -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    dataset, split = inputs.dataset or {}, inputs.split or {}
    rows = dataset.get("rows")
    kept = rows.get("kept") if isinstance(rows, Mapping) else None
    for name, value in (
        ("interactions", kept),
        ("users", dataset.get("users")),
        ("items", dataset.get("items")),
    ):
        if isinstance(value, int | float):
            facts.append((name, f"{value:,.0f}"))
    users, items = dataset.get("users"), dataset.get("items")
    if kept and users and items:
        facts.append(("density", f"{kept / (users * items):.2%}"))
    if dataset.get("first") and dataset.get("last"):
        facts.append(("from", str(dataset["first"])[:10]))
        facts.append(("to", str(dataset["last"])[:10]))
    if split.get("protocol"):
        facts.append(("split", str(split["protocol"]).replace("_", "-")))
    if isinstance(split.get("rows"), Mapping):
        facts += [
            (f"{name.replace('_', ' ')} rows", f"{n:,.0f}")
            for name, n in split["rows"].items()
            if isinstance(n, int | float)
        ]
    for key in ("train_end", "valid_end", "watermark"):
        if split.get(key):
            facts.append((key.replace("_", " "), str(split[key])[:16].replace("T", " ")))
    return facts


def _events(inputs: "ReportInputs") -> list[dict[str, Any]]:
    raw = (inputs.dataset or {}).get("events")
    if not isinstance(raw, Mapping) or not raw:
        return []
    total = sum(raw.values()) or 1
    return [
        {"name": name, "count": f"{count:,.0f}", "share": round(100 * count / total, 1)}
        for name, count in sorted(raw.items(), key=lambda entry: -entry[1])
    ]


def _dropped(dataset: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    rows = (dataset or {}).get("rows")
    dropped = rows.get("dropped") if isinstance(rows, Mapping) else None
    if not isinstance(dropped, Mapping):
        return []
    return [(str(reason).replace("_", " "), f"{count:,.0f}") for reason, count in dropped.items() if count]


def _timeline(table: pa.Table, split: Mapping[str, Any] | None) -> Any:
    days = pc.floor_temporal(table[columns.TIMESTAMP], unit="day").value_counts().to_pylist()
    counts: dict[date, int] = {entry["values"].date(): entry["counts"] for entry in days}
    first, last = min(counts), max(counts)
    every = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    marks = {}
    for key, name in (("train_end", "training ends"), ("valid_end", "holdout starts")):
        instant = _instant((split or {}).get(key))
        if (
            instant is not None
            and first <= instant.date() < last
            and (split or {}).get("protocol") == "temporal"
        ):
            marks[name] = (instant.date() - first).days
    return charts.area(
        "Interactions a day", [d.isoformat() for d in every], [counts.get(d, 0) for d in every], marks
    )


def _instant(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except ValueError:
        return None


def _tail(table: pa.Table | None, column: str, title: str, xlabel: str) -> Any:
    if table is None or not table.num_rows:
        return None
    counts = pc.value_counts(table[column].combine_chunks()).field("counts").to_numpy()
    return charts.long_tail(title, np.asarray(counts, np.int64), xlabel, "interactions")


def slates(inputs: "ReportInputs") -> list[dict[str, Any]]:
    """Sample slates; what the user went on to do is marked."""
    shown = []
    for sample in inputs.slates:
        wanted = set(sample.wanted)
        shown.append(
            {
                "user": sample.user,
                "note": sample.note,
                "history": list(sample.history)[-8:][::-1],
                "earlier": max(len(sample.history) - 8, 0),
                "recommended": [(title, title in wanted) for title in sample.recommended],
                "wanted": list(sample.wanted)[:6],
            }
        )
    return shown


def config(inputs: "ReportInputs") -> str:
    """The configuration as YAML, empty where there is none."""
    if not inputs.config:
        return ""
    return yaml.safe_dump(dict(inputs.config), sort_keys=False, allow_unicode=True)
