"""Two snapshots compared by their statistics: figures against thresholds."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from slate.config import DriftConfig
from slate.data.drift import distributions, tables
from slate.data.drift.figures import CHECKS, Drift, Entities, Figure, Measured
from slate.data.findings import Severity, resolve


def compare(
    parent: Mapping[str, Any],
    current: Mapping[str, Any],
    config: DriftConfig,
    before: Entities | None = None,
    now: Entities | None = None,
) -> Drift:
    """Compare two :func:`slate.data.statistics.describe` results.

    What one of them lacks, as those of older releases do, is a figure without a value. Where chance alone
    would pass a threshold on distributions with so few rows, the limit is what chance makes of them.

    Args:
        before, now: the ids of both snapshots, for new and vanished ones.

    Raises:
        ConfigError: ``drift.severities`` names an unknown check.
    """
    severities = resolve(config.severities, CHECKS, "drift.severities")
    features = tuple(distributions.features(parent, current))
    measured: dict[str, tuple[float, Callable[[], Iterator[Measured]]]] = {
        "schema_changed": (0.0, lambda: tables.schema(parent, current, gone=True)),
        "schema_added": (0.0, lambda: tables.schema(parent, current, gone=False)),
        "shrunk_table": (config.shrink, lambda: tables.shrunk(parent, current)),
        "new_items": (config.new_items, lambda: tables.only_in(now, before, "items")),
        "vanished_items": (config.vanished_items, lambda: tables.only_in(before, now, "items")),
        "new_users": (config.new_users, lambda: tables.only_in(now, before, "users")),
        "vanished_users": (config.vanished_users, lambda: tables.only_in(before, now, "users")),
        "popularity": (config.popularity, lambda: distributions.popularity(parent, current)),
        "top_items": (config.top_items, lambda: distributions.top_items(parent, current)),
        "event_mix": (config.event_mix, lambda: distributions.event_mix(parent, current)),
        "rows_per_day": (config.rows_per_day, lambda: tables.rows_per_day(parent, current)),
        "engagement": (config.engagement, lambda: tables.engagement(parent, current)),
        "feature": (config.feature, lambda: iter(found for found, _ in features)),
        "missing": (config.missing, lambda: distributions.missing(parent, current)),
    }
    figures = [
        _figure(name, severities[name], threshold, found)
        for name, (threshold, measure) in measured.items()
        if severities[name] != "off"
        for found in measure()
    ]
    return Drift(tuple(figures), tuple(shares for _, shares in features if shares is not None))


def _figure(name: str, severity: str, threshold: float, found: Measured) -> Figure:
    level: Severity = "error" if severity == "error" else "warning"
    note = found.note
    if found.chance > threshold:
        note = "; ".join([*([note] if note else []), "few rows, so the limit is what chance makes"])
    return Figure(name, found.subject, found.value, max(threshold, found.chance), level, note, found.samples)
