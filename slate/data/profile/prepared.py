"""A prepared data set in numbers: counts, tails, cold shares, features, and what goes with engagement."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from slate import columns
from slate.data import engagement, statistics

Floats = npt.NDArray[np.float64]

_RECENT: Final = 0.1
_QUANTILES: Final = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
#: 95% of a standard normal.
_Z: Final = 1.959964


@dataclass(frozen=True)
class Tail:
    """How unevenly interactions fall on users or items. Shares are of all interactions."""

    counts: npt.NDArray[np.int64]
    quantiles: tuple[float, ...]
    top_1: float
    top_10: float
    gini: float


@dataclass(frozen=True)
class Correlation:
    """One feature against engagement. ``measure``: Spearman's rho of a number, with a 95% interval by
    Fisher's transformation, or the correlation ratio eta squared of a category, without one.
    """

    subject: str
    measure: str
    value: float
    low: float | None
    high: float | None
    entities: int


@dataclass(frozen=True)
class Profile:
    """Everything ``slate data describe`` shows of a prepared data set.

    ``statistics`` is that of :mod:`slate.data.statistics`; ``cold`` maps what is cold to its share;
    ``engagement`` is :func:`slate.data.engagement.over` weeks; ``volume`` is interactions by day.
    """

    name: str
    record: Mapping[str, Any]
    statistics: Mapping[str, Any]
    users: Tail
    items: Tail
    lifetimes: tuple[float, ...]
    cold: Mapping[str, float]
    correlations: tuple[Correlation, ...]
    engagement: pa.Table
    volume: pa.Table
    density: float


def profile(name: str, record: Mapping[str, Any], tables: Mapping[str, pa.Table]) -> Profile:
    """Describe ``interactions``, ``items`` and ``users``; ``record`` is ``dataset.json``."""
    interactions = tables["interactions"]
    users, items = (tail(interactions[key]) for key in (columns.USER, columns.ITEM))
    days = interactions.append_column("day", pc.floor_temporal(interactions[columns.TIMESTAMP], unit="day"))
    return Profile(
        name=name,
        record=record,
        statistics=statistics.describe(tables),
        users=users,
        items=items,
        lifetimes=_lifetimes(interactions),
        cold=cold_shares(interactions, tables["items"]),
        correlations=tuple(_correlations(tables)),
        engagement=engagement.over(interactions, "week"),
        volume=days.group_by("day").aggregate([("day", "count")]).sort_by("day"),
        density=interactions.num_rows / max(len(users.counts) * len(items.counts), 1),
    )


def tail(ids: pa.ChunkedArray) -> Tail:
    """The distribution of interactions over the ids that have any."""
    counts = np.sort(ids.value_counts().field("counts").to_numpy().astype(np.int64))[::-1]
    total = max(int(counts.sum()), 1)

    def top(share: float) -> float:
        return float(counts[: max(1, math.ceil(share * len(counts)))].sum() / total)

    return Tail(
        counts=counts,
        quantiles=tuple(float(q) for q in np.quantile(counts, _QUANTILES)) if len(counts) else (),
        top_1=top(0.01),
        top_10=top(0.1),
        gini=gini(counts),
    )


def gini(counts: npt.NDArray[np.int64]) -> float:
    """The Gini coefficient: 0 where all counts are equal, towards 1 where one holds everything."""
    ordered = np.sort(counts).astype(np.float64)
    if not len(ordered) or ordered.sum() == 0:
        return 0.0
    ranks = np.arange(1, len(ordered) + 1)
    return float(
        2 * (ranks * ordered).sum() / (len(ordered) * ordered.sum()) - (len(ordered) + 1) / len(ordered)
    )


def cold_shares(interactions: pa.Table, items: pa.Table) -> dict[str, float]:
    """What is new in the last tenth of the interactions, and which items were never touched."""
    ordered = interactions.sort_by(columns.TIMESTAMP)
    cut = int(ordered.num_rows * (1 - _RECENT))
    before, after = ordered.slice(0, cut), ordered.slice(cut)
    shares: dict[str, float] = {}
    for key, word in ((columns.USER, "users"), (columns.ITEM, "items")):
        late = after[key].unique()
        fresh = len(late.filter(pc.invert(pc.is_in(late, before[key].unique()))))
        shares[f"{word} of the last tenth never seen before"] = fresh / max(len(late), 1)
        rows = pc.invert(pc.is_in(after[key], before[key].unique()))
        shares[f"interactions of the last tenth with {word} never seen before"] = (
            pc.sum(rows).as_py() or 0
        ) / max(after.num_rows, 1)
    touched = pc.is_in(items[columns.ITEM], interactions[columns.ITEM].unique())
    shares["items without any interaction"] = 1 - (pc.sum(touched).as_py() or 0) / max(items.num_rows, 1)
    return shares


def _lifetimes(interactions: pa.Table) -> tuple[float, ...]:
    """Quantiles of the hours between a user's first and last interaction."""
    times = interactions.group_by(columns.USER).aggregate(
        [(columns.TIMESTAMP, "min"), (columns.TIMESTAMP, "max")]
    )
    first, last = (times[f"{columns.TIMESTAMP}_{end}"].cast(pa.int64()).to_numpy() for end in ("min", "max"))
    hours = (last - first) / 3.6e9
    return tuple(float(q) for q in np.quantile(hours, _QUANTILES)) if len(hours) else ()


def _correlations(tables: Mapping[str, pa.Table]) -> list[Correlation]:
    """Every feature of users and items against the sum of weights of the entity; of the context, of a row."""
    interactions = tables["interactions"]
    found = []
    for side, key in (("items", columns.ITEM), ("users", columns.USER)):
        table = tables[side]
        summed = interactions.group_by(key).aggregate([(columns.WEIGHT, "sum")])
        # Arrow joins no list columns, so rows are matched by position.
        at = pc.index_in(table[key], value_set=summed[key].combine_chunks())
        active = table.filter(pc.is_valid(at))
        weights = summed[f"{columns.WEIGHT}_sum"].take(pc.drop_null(at))
        names = [n for n in table.column_names if n not in (key, columns.TITLE)]
        found += [_correlation(f"{side}.{n}", active[n], weights) for n in names]
    context = [n for n in interactions.column_names if n not in columns.INTERACTION_COLUMNS]
    found += [_correlation(f"context.{n}", interactions[n], interactions[columns.WEIGHT]) for n in context]
    return sorted((c for c in found if c is not None), key=lambda c: -abs(c.value))


def _correlation(subject: str, feature: pa.ChunkedArray, weights: pa.ChunkedArray) -> Correlation | None:
    kind = feature.type
    if pa.types.is_list(kind):
        parents = pc.list_parent_indices(feature.combine_chunks())
        weights, feature = weights.take(parents), pc.list_flatten(feature.combine_chunks())
        kind = feature.type
    present = pc.is_valid(feature)
    target = weights.filter(present).to_numpy()
    feature = feature.filter(present)
    if len(target) < 4 or target.std() == 0:
        return None
    if pa.types.is_timestamp(kind):
        feature, kind = feature.cast(pa.int64()), pa.int64()
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        numbers = feature.cast(pa.float64()).to_numpy()
        finite = np.isfinite(numbers)
        numbers, target = numbers[finite], target[finite]
        if len(numbers) < 4 or numbers.std() == 0 or target.std() == 0:
            return None
        rho = float(np.corrcoef(_ranks(numbers), _ranks(target))[0, 1])
        # Fisher's z with the variance of Spearman's rho by Bonett and Wright (2000).
        wide = _Z * math.sqrt((1 + rho * rho / 2) / max(len(numbers) - 3, 1))
        z = math.atanh(max(min(rho, 1 - 1e-12), -1 + 1e-12))
        return Correlation(
            subject, "Spearman's rho", rho, math.tanh(z - wide), math.tanh(z + wide), len(numbers)
        )
    text = feature.cast(pa.string())
    encoded = (text if isinstance(text, pa.Array) else text.combine_chunks()).dictionary_encode()
    if len(encoded.dictionary) < 2 or 2 * len(encoded.dictionary) > len(target):
        return None
    places = encoded.indices.to_numpy(zero_copy_only=False)
    sizes = np.bincount(places).astype(np.float64)
    means = np.bincount(places, weights=target) / sizes
    ratio = float((sizes * (means - target.mean()) ** 2).sum() / ((target - target.mean()) ** 2).sum())
    return Correlation(subject, "eta squared", ratio, None, None, len(target))


def _ranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle: Floats = ends - (counts - 1) / 2
    return middle[inverse]
