"""Checks of whole tables: shapes that no single row shows."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import ibis
import ibis.expr.types as ir

from slate import columns
from slate.config import FeatureKind
from slate.data.checks.base import Facts, Found, TableCheck
from slate.data.findings import Name

Tables = Mapping[Name, ir.Table]

_SAMPLES: Final = 5
_CATEGORICAL: Final = (FeatureKind.ID, FeatureKind.CATEGORICAL)
#: A category must hold this many interactions, on average, for its mean to say anything.
_ROWS_PER_CATEGORY: Final = 20


def _dominant(key: str, limit: str) -> Callable[[Tables, Facts], Found]:
    def find(tables: Tables, facts: Facts) -> Found:
        counts = tables["interactions"].group_by(key).aggregate(rows=lambda t: t.count())
        least = getattr(facts.config.limits, limit) * facts.rows
        found = counts.filter(counts.rows >= least).order_by(ibis.desc("rows"))
        return _found(found) if _enough(facts) else Found(0)

    return find


def _one_event(_: Tables, facts: Facts) -> Found:
    if len(facts.config.events) < 2 or not _enough(facts):
        return Found(0)
    name, rows = max(facts.events.items(), key=lambda entry: entry[1])
    if rows < facts.config.limits.event_share * facts.rows:
        return Found(0)
    return Found(rows, [{"event": name, "rows": rows, "of": facts.rows}])


def _bots(tables: Tables, facts: Facts) -> Found:
    table = tables["interactions"]
    minutes = table.mutate(minute=table[columns.TIMESTAMP].truncate("m"))
    rates = minutes.group_by(columns.USER, "minute").aggregate(rows=lambda t: t.count())
    fast = rates.filter(rates.rows > facts.config.limits.events_per_minute)
    users = fast.group_by(columns.USER).aggregate(most_in_a_minute=fast.rows.max())
    return _found(users.order_by(ibis.desc("most_in_a_minute"), columns.USER))


def _one_instant(tables: Tables, facts: Facts) -> Found:
    counts = tables["interactions"].group_by(columns.TIMESTAMP).aggregate(rows=lambda t: t.count())
    least = facts.config.limits.repeated_time * facts.rows
    return _found(counts.filter(counts.rows >= least)) if _enough(facts) else Found(0)


def _spelled_alike(name: Name, key: str) -> Callable[[Tables, Facts], Found]:
    """Ids that are one after trimming and folding case."""

    def find(tables: Tables, _: Facts) -> Found:
        ids = tables[name].select(key).distinct()
        folded = ids.mutate(folded=ids[key].strip().lower())
        groups = folded.group_by("folded").aggregate(
            spellings=lambda t: t.count(), examples=lambda t: t[key].collect()
        )
        return _found(groups.filter(groups.spellings > 1).order_by("folded").select("spellings", "examples"))

    return find


def _float_ids(tables: Tables, _: Facts) -> Found:
    table = tables["interactions"]
    found = []
    for key in (columns.USER, columns.ITEM):
        ids = table.select(id=table[key]).distinct()
        found.append(
            ids.filter(ids.id.re_search(r"^[-+]?[0-9]+([.]0+|([.][0-9]+)?[eE][+-]?[0-9]+)$")).mutate(
                column=ibis.literal(key)
            )
        )
    return _found(ibis.union(*found).order_by("column", "id"))


def _exploded(tables: Tables, facts: Facts) -> Found:
    limits, found = facts.config.limits, []
    for name, feature, kind in _features(facts):
        column = tables[name][feature]
        if kind is not FeatureKind.CATEGORICAL:
            continue
        rows, distinct = (int(v.execute()) for v in (column.count(), column.nunique()))
        if rows >= limits.rows and distinct > limits.category_share * rows:
            found.append({"table": name, "feature": feature, "values": distinct, "rows": rows})
    return Found(len(found), found)


def _constant(tables: Tables, facts: Facts) -> Found:
    found = []
    for name, feature, kind in _features(facts):
        table = tables[name]
        column = table[feature].cast("string") if kind is FeatureKind.CATEGORICAL_LIST else table[feature]
        if int(table.count().execute()) >= facts.config.limits.rows and int(column.nunique().execute()) <= 1:
            value = column.max().execute()
            found.append({"table": name, "feature": feature, "value": None if value is None else str(value)})
    return Found(len(found), found)


def _leaking(tables: Tables, facts: Facts) -> Found:
    """Features that all but decide an interaction's weight.

    Measured by the correlation ratio eta squared (Fisher 1925): the share of the weights' variance that
    lies between the feature's values; for numbers of many values by the squared correlation.
    """
    found = []
    for name, feature, kind in _features(facts) if _enough(facts) else ():
        if kind in (*_CATEGORICAL, FeatureKind.NUMERIC):
            share = _explained(tables, name, feature, kind)
            if share >= facts.config.limits.leak:
                found.append({"table": name, "feature": feature, "explains": round(share, 4)})
    return Found(len(found), found)


def _explained(tables: Tables, name: Name, feature: str, kind: FeatureKind) -> float:
    rows = tables["interactions"]
    if name != "interactions":
        key = columns.ITEM if name == "items" else columns.USER
        side = tables[name].select(key, feature)
        rows = rows.select(columns.USER, columns.ITEM, columns.WEIGHT).inner_join(side, key)
    rows = rows.select(weight=rows[columns.WEIGHT], feature=rows[feature]).filter(
        lambda t: t.feature.notnull()
    )
    summed = rows.aggregate(
        n=rows.count(),
        mean=rows.weight.mean(),
        variance=rows.weight.var(how="pop"),
        distinct=rows.feature.nunique(),
    )
    (total,) = summed.to_pyarrow().to_pylist()
    if total["n"] < 2 or not total["variance"]:
        return 0.0
    if total["distinct"] * _ROWS_PER_CATEGORY <= total["n"]:
        groups = rows.group_by("feature").aggregate(n=rows.count(), mean=rows.weight.mean())
        between = (groups.n * (groups["mean"] - total["mean"]) ** 2).sum()
        share: float = float(between.execute()) / (total["n"] * total["variance"])
        return share
    if kind is FeatureKind.NUMERIC:
        finite = rows.filter(~rows.feature.isnan() & ~rows.feature.isinf())
        found = finite.feature.corr(finite.weight, how="pop").execute()
        correlation = 0.0 if found is None else float(found)
        return 0.0 if math.isnan(correlation) else correlation * correlation
    return 0.0


def _features(facts: Facts) -> Iterator[tuple[Name, str, FeatureKind]]:
    names: tuple[Name, ...] = ("interactions", "items", "users")
    for name in names:
        described = getattr(facts.config, name)
        for feature, description in (described.features if described else {}).items():
            yield name, feature, description.kind


def _enough(facts: Facts) -> bool:
    return facts.rows >= facts.config.limits.rows


def _found(rows: ir.Table) -> Found:
    samples: list[dict[str, Any]] = rows.limit(_SAMPLES).to_pyarrow().to_pylist()
    return Found(int(rows.count().execute()) if samples else 0, samples)


TABLE_CHECKS: Final = (
    TableCheck(
        "dominant_user", "interactions", "warning", "users who made a large share of all interactions",
        "look for a test account, a crawler or a placeholder id", _dominant(columns.USER, "user_share"),
    ),
    TableCheck(
        "dominant_item", "interactions", "warning", "items with a large share of all interactions",
        "look for a placeholder id or a page that everybody passes", _dominant(columns.ITEM, "item_share"),
    ),
    TableCheck(
        "one_event", "interactions", "warning", "almost all interactions are of one event",
        "check the names and conditions in dataset.events: the ranker has nothing to tell apart", _one_event,
    ),
    TableCheck(
        "superhuman_rate", "interactions", "warning", "users faster than people in some minute",
        "leave bots and imports out, or raise dataset.limits.events_per_minute", _bots,
    ),
    TableCheck(
        "one_instant", "interactions", "warning", "instants that hold a large share of all interactions",
        "look for a default time or a bulk import", _one_instant,
    ),
    TableCheck(
        "user_ids_alike", "interactions", "warning", "user ids that differ only by case or outer spaces",
        "spell every id in one way", _spelled_alike("interactions", columns.USER),
    ),
    TableCheck(
        "item_ids_alike", "items", "warning", "item ids that differ only by case or outer spaces",
        "spell every id in one way", _spelled_alike("items", columns.ITEM),
    ),
    TableCheck(
        "float_ids", "interactions", "warning", "ids written as floating-point numbers, such as 12.0 or 1e5",
        "write ids as text or whole numbers", _float_ids,
    ),
    TableCheck(
        "exploded_categories", "items", "warning", "categorical features with nearly a value a row",
        "use kind id or text, or leave it out", _exploded,
    ),
    TableCheck(
        "constant_feature", "items", "warning", "features with a single value, or none",
        "leave it out, or look for what stopped writing it", _constant,
    ),
    TableCheck(
        "leaking_feature", "interactions", "warning", "features that all but decide what the event was",
        "leave it out if it is not known before the interaction", _leaking,
    ),
)  # fmt: skip
