"""What items, events and features look like, before and now."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from slate.data.drift.figures import SAMPLES, Measured, Shares
from slate.data.drift.measures import (
    BITS_PER_INDEX,
    REST,
    Aligned,
    aligned,
    by_chance,
    decile_shares,
    jensen_shannon,
    stability_index,
)

_TOP: Final = 100
#: A categorical feature is compared by the categories that are so common on either side, the rest together.
_CATEGORIES: Final = 20


class _Feature(NamedTuple):
    table: str
    name: str
    before: Mapping[str, Any]
    now: Mapping[str, Any]

    @property
    def subject(self) -> str:
        return f"{self.table}.{self.name}"


def popularity(parent: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[Measured]:
    """The divergence of the items' shares of interactions."""
    yield _divergence(_popularity(parent), _popularity(current))


def event_mix(parent: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[Measured]:
    """The divergence of the events' shares of interactions."""
    before, now = (dict(side.get("interactions", {}).get("events", {})) for side in (parent, current))
    yield _divergence(before, now)


def top_items(parent: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[Measured]:
    """The share of the parent's 100 most popular items that are no longer among them."""
    lists = [side.get("interactions", {}).get("popularity", {}) for side in (parent, current)]
    if not all(lists):
        yield Measured("", None, "not in the statistics of both")
        return
    # Statistics are written with sorted keys, so the order of popularity is not that of the file.
    first, second = (sorted(found, key=lambda item: (-found[item], item))[:_TOP] for found in lists)
    fallen = [item for item in first if item not in set(second)]
    yield Measured("", len(fallen) / len(first), samples=tuple(fallen[:SAMPLES]))


def features(
    parent: Mapping[str, Any], current: Mapping[str, Any]
) -> Iterator[tuple[Measured, Shares | None]]:
    """By feature, the stability index: numbers in the parent's deciles, categories by name."""
    for feature in _common(parent, current):
        shares = _shares(feature)
        if shares is None:
            yield Measured(feature.subject, None, "not described alike, or without a value, in one"), None
            continue
        first, second, bins = shares
        sizes = [_size(side, feature.table, feature.name) for side in (parent, current)]
        yield (
            Measured(
                feature.subject,
                stability_index(first, second),
                f"{jensen_shannon(first, second):.3f} bits",
                _moved(shares),
                by_chance(_used(shares), *sizes),
            ),
            Shares(feature.subject, bins, tuple(first.tolist()), tuple(second.tolist())),
        )


def missing(parent: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[Measured]:
    """By feature, how much the share of missing values rose."""
    for feature in _common(parent, current):
        before, now = feature.before["missing"], feature.now["missing"]
        yield Measured(feature.subject, max(0.0, now - before), f"{before:.1%}, now {now:.1%}")


def _divergence(before: Mapping[str, float], now: Mapping[str, float]) -> Measured:
    if not before or not now:
        return Measured("", None, "not in the statistics of both")
    shares = aligned(before, now)
    return Measured(
        "",
        jensen_shannon(shares.first, shares.second),
        samples=_moved(shares),
        chance=by_chance(_used(shares), sum(before.values()), sum(now.values())) * BITS_PER_INDEX,
    )


def _moved(shares: Aligned) -> tuple[str, ...]:
    """The bins that gained or lost most."""
    first, second, bins = shares
    most = np.argsort(-np.abs(second - first), kind="stable")[:SAMPLES]
    return tuple(
        f"{bins[at]} ({first[at]:.1%}, now {second[at]:.1%})" for at in most if first[at] != second[at]
    )


def _popularity(side: Mapping[str, Any]) -> dict[str, float]:
    interactions = side.get("interactions", {})
    return _with_rest(interactions.get("popularity", {}), interactions.get("rows", 0))


def _with_rest(listed: Mapping[str, float], total: float) -> dict[str, float]:
    rest = total - sum(listed.values())
    return {**listed, REST: rest} if listed and rest > 0 else dict(listed)


def _common(parent: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[_Feature]:
    for table in ("items", "users", "context"):
        for name, before in sorted(parent.get(table, {}).items()):
            now = current.get(table, {}).get(name)
            if now is not None:
                yield _Feature(table, name, before, now)


def _shares(feature: _Feature) -> Aligned | None:
    """Both sides over the same bins; None where they are not described alike or hold nothing.

    The first version of statistics has few and named quantiles, and does not say how much it left out of
    long lists of categories; neither compares.
    """
    before, now = feature.before, feature.now
    first, second = before.get("quantiles"), now.get("quantiles")
    if isinstance(first, list) and isinstance(second, list):
        return decile_shares(first, second)
    if all(side.get("counts") and _accounted(side) for side in (before, now)):
        return aligned(_categories(before), _categories(now), most=_CATEGORIES)
    return None


def _categories(described: Mapping[str, Any]) -> dict[str, float]:
    return _with_rest(described["counts"], described.get("total", 0))


def _accounted(described: Mapping[str, Any]) -> bool:
    return "total" in described or described.get("categories", 0) <= len(described["counts"])


def _size(side: Mapping[str, Any], table: str, name: str) -> float:
    """How many values a feature has; 0 where the statistics do not say."""
    described = side[table][name]
    if "total" in described:
        return float(described["total"])
    rows = side.get("rows", {}).get("interactions" if table == "context" else table, 0)
    return float(rows * (1 - described["missing"]))


def _used(shares: Aligned) -> int:
    return int(((shares.first > 0) | (shares.second > 0)).sum())
