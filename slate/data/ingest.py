"""Raw tables to the prepared data set: our columns, our types, weights, and every row accounted for."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from slate import columns
from slate.clock import isoformat
from slate.config import Condition, DatasetConfig, Feature, FeatureKind, Table
from slate.data import engine, movielens
from slate.errors import DataError

_UTC: Final = dt.Timestamp(timezone="UTC", scale=6)
_DIGITS: Final = r"^\s*-?\d+(\.\d+)?\s*$"
_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_NO_EVENT: Final = "no_event"
_BATCH: Final = 65_536
_FLAG: Final = "__unreadable_"


@dataclass
class _Side:
    """One table on its way: its expression, and what could not be read as its type."""

    table: ir.Table
    unreadable: dict[str, ir.BooleanValue] = field(default_factory=dict)


def located(config: DatasetConfig, cache: Path) -> DatasetConfig:
    """The data set with its paths inside the folder of its source, fetched if it has one."""
    if config.source is None:
        return config
    folder = movielens.fetch(cache)

    def inside(table: Table | None) -> dict[str, Any] | None:
        if table is None:
            return None
        paths = [table.path] if isinstance(table.path, str) else list(table.path)
        return {**table.model_dump(exclude_none=True), "path": [str(folder / p) for p in paths]}

    moved = {side: inside(getattr(config, side)) for side in ("interactions", "items", "users")}
    return DatasetConfig.model_validate({**config.model_dump(exclude_none=True), **moved})


def source_fingerprint(config: DatasetConfig, cache: Path) -> str:
    """sha256 over the raw files and the description: what a cached ingest depends on."""
    digest = hashlib.sha256(config.model_dump_json().encode())
    place = located(config, cache)
    for name in ("interactions", "items", "users"):
        table = getattr(place, name)
        if table is None:
            continue
        for path in engine.resolve(table, name):
            digest.update(path.rsplit("/", 1)[-1].encode())
            if "://" not in path:
                with Path(path).open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def ingest(config: DatasetConfig, out: Path, cache: Path) -> dict[str, Any]:
    """Write the prepared data set into ``out`` and return what ``dataset.json`` says.

    Rows that match no event are dropped and counted; everything else is kept for validation to judge.
    A value that cannot be read as its type becomes null and is counted under ``unreadable``.

    Raises:
        DataError: a file or column is missing or unreadable.
    """
    config = located(config, cache)
    connection = engine.connect()
    interactions = _interactions(connection, config)
    read = int(interactions.table.count().execute())
    if read == 0:
        raise DataError(
            f"dataset.interactions.path: {config.interactions.path} has no rows; name a file with interactions"
        )
    kept = interactions.table.filter(interactions.table[columns.EVENT].notnull())
    out.mkdir(parents=True, exist_ok=True)
    order = [columns.TIMESTAMP, columns.USER, columns.ITEM, columns.EVENT]
    kept = kept.select(*(c for c in kept.columns if not c.startswith(_FLAG)))
    kept.order_by(order).to_parquet(out / columns.INTERACTIONS_FILE)
    stored = connection.read_parquet(str(out / columns.INTERACTIONS_FILE))
    sides = {
        "items": _entities(connection, config.items, "items", columns.ITEM, stored),
        "users": _entities(connection, config.users, "users", columns.USER, stored),
    }
    unreadable = _count_unreadable("interactions", interactions)
    duplicates: dict[str, int] = {}
    for name, file in (("items", columns.ITEMS_FILE), ("users", columns.USERS_FILE)):
        side, key = sides[name], columns.ITEM if name == "items" else columns.USER
        unreadable |= _count_unreadable(name, side)
        rows = int(side.table.count().execute())
        unique = _first_of_each(side.table, key)
        unique.order_by(key).to_parquet(out / file)
        duplicates[name] = rows - int(unique.count().execute())
    rows_kept = int(stored.count().execute())
    events = stored.group_by(columns.EVENT).agg(n=lambda t: t.count()).execute()
    times = stored.agg(first=stored[columns.TIMESTAMP].min(), last=stored[columns.TIMESTAMP].max())
    span = times.to_pyarrow().to_pylist()[0]
    summary: dict[str, Any] = {
        "name": config.name,
        "fingerprint": fingerprint(out),
        "rows": {"read": read, "kept": rows_kept, "dropped": {_NO_EVENT: read - rows_kept}},
        "duplicate_rows": duplicates,
        "unreadable": unreadable,
        "users": int(stored[columns.USER].nunique().execute()),
        "items": int(stored[columns.ITEM].nunique().execute()),
        "first": isoformat(span["first"]) if span["first"] else None,
        "last": isoformat(span["last"]) if span["last"] else None,
        "events": {str(e): int(n) for e, n in sorted(zip(events[columns.EVENT], events["n"], strict=True))},
    }
    (out / columns.DATASET_FILE).write_text(json.dumps(summary, indent=1, ensure_ascii=False), encoding="utf-8")
    return summary


def fingerprint(folder: Path) -> str:
    """sha256 of the prepared tables' content, independent of how their files are laid out."""
    digest = hashlib.sha256()
    for name in (columns.INTERACTIONS_FILE, columns.ITEMS_FILE, columns.USERS_FILE):
        file = pq.ParquetFile(folder / name)
        digest.update(name.encode())
        digest.update(str(file.schema_arrow.remove_metadata()).encode())
        for batch in file.iter_batches(batch_size=_BATCH):
            digest.update(_batch_bytes(batch))
    return digest.hexdigest()


def _batch_bytes(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema.remove_metadata()) as writer:
        writer.write_batch(batch.replace_schema_metadata(None))
    return sink.getvalue().to_pybytes()


def _interactions(connection: Any, config: DatasetConfig) -> _Side:
    table, mapping = config.interactions, config.interactions.columns
    raw = engine.read(connection, table, "interactions")
    side = _Side(raw)

    def mapped(name: str) -> ir.Value:
        return engine.column(raw, mapping.get(name, name), "interactions", f"columns.{name}")

    user, item = _text(mapped(columns.USER)), _text(mapped(columns.ITEM))
    raw_time = mapped(columns.TIMESTAMP)
    moment = _instant(raw_time, table.timestamp_unit)
    value: ir.Value = ibis.null("float64")
    if columns.VALUE in mapping:
        raw_value = mapped(columns.VALUE)
        value = raw_value.try_cast("float64")
        side.unreadable[columns.VALUE] = raw_value.notnull() & value.isnull()
    side.unreadable[columns.TIMESTAMP] = raw_time.notnull() & moment.isnull()
    event = _event(raw, config)
    weights = ibis.cases(
        *((event == name, ibis.literal(float(e.weight))) for name, e in config.events.items()),
        else_=ibis.null("float64"),
    )
    by_value = [name for name, e in config.events.items() if e.weight_by == "value"]
    weight = weights * event.isin(by_value).ifelse(value.fill_null(0.0), 1.0) if by_value else weights
    chosen = {
        columns.USER: user,
        columns.ITEM: item,
        columns.EVENT: event,
        columns.VALUE: value,
        columns.WEIGHT: weight,
        columns.TIMESTAMP: moment,
        **_features(side, raw, table.features, "interactions"),
    }
    flags = {_FLAG + name: flag for name, flag in side.unreadable.items()}
    side.table = raw.select(**chosen, **flags)
    return side


def _event(raw: ir.Table, config: DatasetConfig) -> ir.StringValue:
    mapping = config.interactions.columns
    named = None
    if columns.EVENT in mapping:
        named = _text(engine.column(raw, mapping[columns.EVENT], "interactions", f"columns.{columns.EVENT}"))
    branches = []
    for name, event in config.events.items():
        if event.when is not None:
            test = ibis.literal(True)
            for column, condition in event.when.items():
                test = test & _condition(raw, column, condition, f"events.{name}.when")
            branches.append((test, name))
        elif named is not None:
            branches.append((named == name, name))
        else:
            branches.append((ibis.literal(True), name))
    return ibis.cases(*branches, else_=ibis.null("string"))


def _condition(raw: ir.Table, name: str, condition: Condition, key: str) -> ir.BooleanValue:
    column = engine.column(raw, name, "interactions", key)
    number = column.try_cast("float64")
    test = column.notnull()

    def same(value: str | float | bool) -> ir.BooleanValue:
        if isinstance(value, bool):
            return column.try_cast("boolean") == value
        return number == float(value) if isinstance(value, int | float) else _text(column) == value

    if condition.equals is not None:
        test = test & same(condition.equals)
    if condition.one_of is not None:
        options = ibis.literal(False)
        for value in condition.one_of:
            options = options | same(value)
        test = test & options
    if condition.min is not None:
        test = test & (number >= condition.min)
    if condition.max is not None:
        test = test & (number <= condition.max)
    return test.fill_null(False)


def _entities(connection: Any, table: Table | None, name: str, key: str, stored: ir.Table) -> _Side:
    """Rows of the items or users table, and of those that only interactions name."""
    named = stored.select(key).distinct().filter(lambda t: t[key].notnull())
    titled = key == columns.ITEM
    if table is None:
        side = _Side(named)
        if titled:
            side.table = named.mutate(**{columns.TITLE: ibis.null("string")})
        return side
    raw = engine.read(connection, table, name)
    side = _Side(raw)
    id_ = _text(engine.column(raw, table.columns.get(key, key), name, f"columns.{key}"))
    chosen: dict[str, ir.Value] = {key: id_}
    if titled:
        if columns.TITLE in table.columns:
            title = _text(engine.column(raw, table.columns[columns.TITLE], name, f"columns.{columns.TITLE}"))
        else:
            title = ibis.null("string")
        chosen[columns.TITLE] = title
    chosen |= _features(side, raw, table.features, name)
    flags = {_FLAG + n: flag for n, flag in side.unreadable.items()}
    typed = raw.select(**chosen, **flags)
    typed = typed.filter(typed[key].notnull())
    missing = named.anti_join(typed, key)
    empty = {n: ibis.null(t) for n, t in typed.schema().items() if n != key}
    side.table = typed.union(missing.mutate(**empty).select(*typed.columns))
    return side


def _features(
    side: _Side, raw: ir.Table, features: Mapping[str, Feature], name: str
) -> dict[str, ir.Value]:
    chosen: dict[str, ir.Value] = {}
    for feature_name, feature in features.items():
        column = engine.column(raw, feature.column or feature_name, name, f"features.{feature_name}.column")
        chosen[feature_name] = _typed(column, feature)
        if feature.kind in (FeatureKind.NUMERIC, FeatureKind.TIMESTAMP):
            side.unreadable[feature_name] = (_blank_to_null(column)).notnull() & chosen[feature_name].isnull()
    return chosen


def _typed(column: ir.Value, feature: Feature) -> ir.Value:
    if feature.kind is FeatureKind.NUMERIC:
        return _blank_to_null(column).try_cast("float64")
    if feature.kind is FeatureKind.TIMESTAMP:
        return _instant(_blank_to_null(column), "s")
    if feature.kind is FeatureKind.CATEGORICAL_LIST:
        if column.type().is_array():
            return column.cast("array<string>")
        text = _blank_to_null(_text(column))
        return text.split(feature.separator)
    if feature.kind is FeatureKind.SENSITIVE and column.type().is_numeric():
        return column.cast("float64")
    return _blank_to_null(_text(column))


def _blank_to_null(column: ir.Value) -> ir.Value:
    return column.nullif("") if column.type().is_string() else column


def _text(column: ir.Value) -> ir.StringValue:
    """Text of an id or category; whole numbers kept as floats lose their '.0'."""
    if column.type().is_floating():
        whole = column == column.floor()
        return whole.ifelse(column.try_cast("int64").cast("string"), column.cast("string"))
    return column.cast("string")


def _instant(column: ir.Value, unit: str) -> ir.TimestampValue:
    """UTC microseconds from a timestamp, a date, a number of ``unit`` since the epoch, or text."""
    kind = column.type()
    if kind.is_timestamp() or kind.is_date():
        return column.cast(_UTC)
    if kind.is_numeric():
        return _from_number(column, unit)
    digits = column.re_search(_DIGITS)
    number = digits.ifelse(column, ibis.null("string")).try_cast("float64" if unit == "s" else "int64")
    return digits.ifelse(_from_number(number, unit), digits.ifelse(ibis.null("string"), column).try_cast(_UTC))


def _from_number(number: ir.NumericValue, unit: str) -> ir.TimestampValue:
    per_second = _PER_SECOND[unit]
    if per_second <= 1_000_000:
        microseconds = (number * (1_000_000 // per_second)).round().try_cast("int64")
    else:
        microseconds = (number // 1_000).try_cast("int64")
    # Adding an interval keeps every microsecond; going through seconds as a float would round.
    return (ibis.timestamp("1970-01-01 00:00:00") + microseconds.as_interval("us")).cast(_UTC)


def _first_of_each(table: ir.Table, key: str) -> ir.Table:
    names = [n for n in table.columns if not n.startswith("__")]
    order = [table[n].cast("string") for n in names if n != key] or [table[key]]
    ranked = table.mutate(__place=ibis.row_number().over(group_by=table[key], order_by=order))
    return ranked.filter(ranked["__place"] == 0).select(*names)


def _count_unreadable(name: str, side: _Side) -> dict[str, int]:
    flags = [c for c in side.table.columns if c.startswith(_FLAG)]
    if not flags:
        return {}
    counts = side.table.agg(**{c: side.table[c].fill_null(False).sum() for c in flags}).to_pyarrow().to_pylist()[0]
    return {f"{name}.{c.removeprefix('__bad_')}": int(n or 0) for c, n in counts.items() if n}
