"""Two snapshots compared by their statistics: figures against thresholds."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from slate.config import DriftConfig
from slate.data.drift.measures import REST, aligned, decile_shares, jensen_shannon, stability_index
from slate.data.findings import Severity, resolve

_SAMPLES: Final = 5
_TOP: Final = 100


@dataclass(frozen=True)
class DriftCheck:
    """A kind of figure and what it means when it is too large."""

    name: str
    severity: Severity
    what: str
    fix: str
    required: bool = False


#: In the order of a report.
CHECKS: Final = (
    DriftCheck(
        "schema_changed", "error", "columns that went or hold another type than in the last release",
        "restore them, or retrain from scratch with drift.severities.schema_changed=warning",
    ),
    DriftCheck("schema_added", "warning", "columns that the last release did not have", "nothing, if meant"),
    DriftCheck(
        "shrunk_table", "error", "share of a table's rows that went since the last release",
        "look for an incomplete export",
    ),
    DriftCheck("new_items", "warning", "share of items that the last release did not know",
               "expect cold items; check that ids did not change their form"),
    DriftCheck("vanished_items", "warning", "share of the last release's items that are gone",
               "check that ids did not change their form"),
    DriftCheck("new_users", "warning", "share of users that the last release did not know",
               "check that ids did not change their form"),
    DriftCheck("vanished_users", "warning", "share of the last release's users that are gone",
               "check that ids did not change their form"),
    DriftCheck("popularity", "warning", "divergence of the items' shares of interactions, bits",
               "look at what became popular, and at bots"),
    DriftCheck("top_items", "warning", "share of the 100 most popular items that no longer are",
               "look at what became popular, and at bots"),
    DriftCheck("event_mix", "warning", "divergence of the events' shares, bits",
               "look for an event that is logged twice or no more"),
    DriftCheck("engagement", "warning", "relative change of engagement per active user, last 28 days",
               "look at daily engagement: slate data engagement"),
    DriftCheck("feature", "warning", "population stability index of a feature",
               "look at its distribution; a new unit or a new coding is usual"),
    DriftCheck("missing", "warning", "rise of a feature's share of missing values",
               "look for what stopped writing it"),
)  # fmt: skip
_BY_NAME: Final = {check.name: check for check in CHECKS}


class Entities(NamedTuple):
    """The ids of one snapshot."""

    items: Collection[str]
    users: Collection[str]


@dataclass(frozen=True)
class Figure:
    """One measured value. ``value`` None: not comparable, ``note`` says why; that passes.

    ``subject`` is the table, ``table.feature`` or empty. ``samples`` names a few of what is meant.
    """

    name: str
    subject: str
    value: float | None
    threshold: float
    severity: Severity
    note: str = ""
    samples: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.value is None or self.value <= self.threshold

    @property
    def what(self) -> str:
        return _BY_NAME[self.name].what

    @property
    def fix(self) -> str:
        return _BY_NAME[self.name].fix

    def __str__(self) -> str:
        subject = f" of {self.subject}" if self.subject else ""
        shown = "not comparable" if self.value is None else f"{self.value:.3g}"
        sample = f", such as {', '.join(self.samples)}" if self.samples else ""
        return f"{self.name}{subject}: {shown} (limit {self.threshold:g}; {self.what}{sample}); {self.fix}"


@dataclass(frozen=True)
class Shares:
    """One feature's distribution before and now, over the same bins; for charts."""

    subject: str
    bins: tuple[str, ...]
    before: tuple[float, ...]
    now: tuple[float, ...]


@dataclass(frozen=True)
class Drift:
    """All figures of one comparison."""

    figures: tuple[Figure, ...]
    shares: tuple[Shares, ...] = ()

    @property
    def findings(self) -> tuple[Figure, ...]:
        """The figures that do not pass, errors first."""
        return tuple(sorted((f for f in self.figures if not f.passed), key=lambda f: f.severity != "error"))

    @property
    def errors(self) -> tuple[Figure, ...]:
        return tuple(f for f in self.findings if f.severity == "error")

    def to_dict(self) -> dict[str, Any]:
        return {"figures": [{**asdict(f), "passed": f.passed} for f in self.figures]}


class _Raw(NamedTuple):
    subject: str
    value: float | None
    note: str = ""
    samples: tuple[str, ...] = ()


def compare(
    parent: Mapping[str, Any],
    current: Mapping[str, Any],
    config: DriftConfig,
    before: Entities | None = None,
    now: Entities | None = None,
) -> Drift:
    """Compare two :func:`slate.data.statistics.describe` results.

    What one of them lacks, as those of older releases do, is a figure without a value.

    Args:
        before, now: the ids of both snapshots, for new and vanished ones.

    Raises:
        ConfigError: ``drift.severities`` names an unknown check.
    """
    severities = resolve(config.severities, CHECKS, "drift.severities")
    shares = tuple(_feature_shares(parent, current))
    measured: dict[str, tuple[float, Callable[[], Iterator[_Raw]]]] = {
        "schema_changed": (0.0, lambda: _schema(parent, current, gone=True)),
        "schema_added": (0.0, lambda: _schema(parent, current, gone=False)),
        "shrunk_table": (config.shrink, lambda: _shrunk(parent, current)),
        "new_items": (config.new_items, lambda: _only_in(now, before, "items")),
        "vanished_items": (config.vanished_items, lambda: _only_in(before, now, "items")),
        "new_users": (config.new_users, lambda: _only_in(now, before, "users")),
        "vanished_users": (config.vanished_users, lambda: _only_in(before, now, "users")),
        "popularity": (config.popularity, lambda: _divergence(_popularity(parent), _popularity(current))),
        "top_items": (config.top_items, lambda: _top(parent, current)),
        "event_mix": (config.event_mix, lambda: _divergence(_events(parent), _events(current))),
        "engagement": (config.engagement, lambda: _engagement(parent, current)),
        "feature": (config.feature, lambda: _features(shares)),
        "missing": (config.missing, lambda: _missing(parent, current)),
    }
    figures = []
    for name, (threshold, measure) in measured.items():
        severity = severities[name]
        if severity != "off":
            level: Severity = "error" if severity == "error" else "warning"
            figures += [Figure(name, r.subject, r.value, threshold, level, *r[2:]) for r in measure()]
    return Drift(tuple(figures), shares)


def _schema(parent: Mapping[str, Any], current: Mapping[str, Any], *, gone: bool) -> Iterator[_Raw]:
    if "schema" not in parent or "schema" not in current:
        yield _Raw("", None, "one of the releases has no schema in its statistics")
        return
    for table, columns in parent["schema"].items():
        present = current["schema"].get(table, {})
        if gone:
            changed = [f"{c} (gone)" for c in columns if c not in present]
            changed += [
                f"{c} ({kind}, now {present[c]})"
                for c, kind in columns.items()
                if c in present and present[c] != kind
            ]
        else:
            changed = [c for c in present if c not in columns]
        yield _Raw(table, float(len(changed)), samples=tuple(sorted(changed)[:_SAMPLES]))


def _shrunk(parent: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[_Raw]:
    for table in ("interactions", "items", "users"):
        rows = [side.get("rows", {}).get(table) for side in (parent, current)]
        if rows[0] is None and table == "interactions":
            rows[0] = parent.get("interactions", {}).get("rows")
        if not rows[0] or rows[1] is None:
            yield _Raw(table, None, "one of the releases does not count its rows")
        else:
            yield _Raw(table, max(0.0, 1 - rows[1] / rows[0]), f"{rows[0]:,} rows, now {rows[1]:,}")


def _only_in(first: Entities | None, second: Entities | None, name: str) -> Iterator[_Raw]:
    """The share of the first side's ids that the second lacks."""
    if first is None or second is None:
        yield _Raw("", None, "ids are compared with the parent only")
        return
    mine, theirs = set(getattr(first, name)), set(getattr(second, name))
    only = mine - theirs
    samples = tuple(sorted(only)[:_SAMPLES]) if name == "items" else ()
    yield _Raw("", len(only) / max(len(mine), 1), f"{len(only):,} of {len(mine):,}", samples)


def _popularity(side: Mapping[str, Any]) -> dict[str, float]:
    interactions = side.get("interactions", {})
    listed = dict(interactions.get("popularity", {}))
    rest = interactions.get("rows", 0) - sum(listed.values())
    return listed | ({REST: rest} if listed and rest > 0 else {})


def _events(side: Mapping[str, Any]) -> dict[str, float]:
    return dict(side.get("interactions", {}).get("events", {}))


def _divergence(before: Mapping[str, float], now: Mapping[str, float]) -> Iterator[_Raw]:
    if not before or not now:
        yield _Raw("", None, "one of the releases holds none")
        return
    first, second, names = aligned(before, now)
    most = sorted(range(len(names)), key=lambda at: -abs(first[at] - second[at]))[:_SAMPLES]
    moved = tuple(f"{names[at]} ({first[at]:.1%}, now {second[at]:.1%})" for at in most)
    yield _Raw("", jensen_shannon(first, second), samples=moved)


def _top(parent: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[_Raw]:
    lists = [list(side.get("interactions", {}).get("popularity", {}).items()) for side in (parent, current)]
    if not all(lists):
        yield _Raw("", None, "one of the releases holds no popularity")
        return
    # Statistics are written with sorted keys, so the order of popularity is not that of the file.
    first, second = ({i for i, _ in sorted(found, key=lambda e: (-e[1], e[0]))[:_TOP]} for found in lists)
    fallen = first - second
    yield _Raw("", len(fallen) / len(first), samples=tuple(sorted(fallen)[:_SAMPLES]))


def _engagement(parent: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[_Raw]:
    before, now = (
        s.get("interactions", {}).get("recent_engagement", {}).get("28") for s in (parent, current)
    )
    if before is None or now is None:
        yield _Raw("", None, "one of the releases holds no recent engagement")
    elif before == 0:
        yield _Raw("", None, "was 0 before, so there is no relative change")
    else:
        yield _Raw("", abs(now - before) / abs(before), f"{before:.3g}, now {now:.3g}")


def _features(shares: tuple[Shares, ...]) -> Iterator[_Raw]:
    for feature in shares:
        value, label = max(
            (abs(n - b), label) for b, n, label in zip(feature.before, feature.now, feature.bins, strict=True)
        )
        moved = (f"{label} by {value:.1%}",) if value else ()
        yield _Raw(
            feature.subject,
            stability_index(np.asarray(feature.before), np.asarray(feature.now)),
            samples=moved,
        )


def _feature_shares(parent: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[Shares]:
    for table, name, before, now in _common(parent, current):
        if "quantiles" in before and isinstance(before["quantiles"], list) and "quantiles" in now:
            first, second, bins = decile_shares(before["quantiles"], now["quantiles"])
        elif before.get("counts") and now.get("counts"):
            first, second, bins = aligned(_counts(before), _counts(now))
        else:
            continue
        yield Shares(f"{table}.{name}", tuple(bins), tuple(first.tolist()), tuple(second.tolist()))


def _missing(parent: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[_Raw]:
    for table, name, before, now in _common(parent, current):
        note = f"{before['missing']:.1%}, now {now['missing']:.1%}"
        yield _Raw(f"{table}.{name}", max(0.0, now["missing"] - before["missing"]), note)


def _common(
    parent: Mapping[str, Any], current: Mapping[str, Any]
) -> Iterator[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]:
    for table in ("items", "users", "context"):
        for name, before in sorted(parent.get(table, {}).items()):
            now = current.get(table, {}).get(name)
            if now is not None:
                yield table, name, before, now


def _counts(entry: Mapping[str, Any]) -> dict[str, float]:
    listed = dict(entry["counts"])
    rest = entry.get("total", 0) - sum(listed.values())
    return listed | ({REST: rest} if rest > 0 else {})
