"""Raw tables to the prepared data set: our columns, our types, weights, and every row accounted for."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slate import columns
from slate.clock import isoformat
from slate.config import (
    Condition,
    DatasetConfig,
    Feature,
    FeatureKind,
    FollowsTable,
    InteractionsTable,
    Table,
)
from slate.data import convert, engine, movielens
from slate.errors import DataError

NO_EVENT: Final = "no_event"
#: Columns of an expression that say which values could not be read as their type.
_FLAG: Final = "__unreadable_"
_MATCHES: Final = "__matches"
_ZONED: Final = "__zoned"
_ROW_GROUP: Final = 131_072
_SAMPLE: Final = 5


class Prepared(NamedTuple):
    """The three tables of a data set."""

    interactions: pa.Table
    items: pa.Table
    users: pa.Table


class Rows(NamedTuple):
    """Where the rows of the raw interactions went; ``read`` = ``kept`` + all of ``dropped``."""

    read: int
    kept: int
    dropped: Mapping[str, int]


@dataclass
class _Side:
    """One raw table on its way: our columns, and which of their values could not be read."""

    chosen: dict[str, ir.Value] = field(default_factory=dict)
    unreadable: dict[str, ir.BooleanValue] = field(default_factory=dict)

    def of(self, raw: ir.Table, **more: ir.Value) -> ir.Table:
        flags = {_FLAG + name: flag.fill_null(False) for name, flag in self.unreadable.items()}
        return raw.select(**self.chosen, **flags, **more)


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
    for name in ("interactions", "items", "users", "follows"):
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
    A value that cannot be read as its type becomes null and is counted under ``unreadable``. ``unlisted``
    counts the items and users that only interactions name.

    Raises:
        DataError: a file or column is missing or unreadable, no timestamp can be read, a row matches
            more than one event, or none matches any.
    """
    config = located(config, cache)
    connection = engine.connect()
    interactions = _interactions(connection, config)
    read = interactions.num_rows
    _check_readable(interactions, config)
    kept = interactions.filter(pc.is_valid(interactions[columns.EVENT]))
    if kept.num_rows == 0:
        raise DataError(_nothing_matches(config, read))
    items, unlisted_items = _entities(connection, config.items, "items", columns.ITEM, kept)
    users, unlisted_users = _entities(connection, config.users, "users", columns.USER, kept)
    if config.follows is not None:
        users = _with_follows(connection, config.follows, users)
    unreadable = {
        f"{name}.{column.removeprefix(_FLAG)}": pc.sum(table[column]).as_py() or 0
        for name, table in (("interactions", kept), ("items", items), ("users", users))
        for column in table.column_names
        if column.startswith(_FLAG)
    }
    prepared = Prepared(*(_visible(table) for table in (kept, items, users)))
    facts = {
        "unreadable": {name: count for name, count in sorted(unreadable.items()) if count},
        "unlisted": {"items": unlisted_items, "users": unlisted_users},
        "zones": _zones(kept[_ZONED]),
        "files": _files(connection, config.interactions),
    }
    return write(
        prepared, config.name, Rows(read, kept.num_rows, {NO_EVENT: read - kept.num_rows}), facts, out
    )


def interactions_after(config: DatasetConfig, cache: Path, instant: datetime) -> pa.Table:
    """The interactions later than an instant, as :func:`ingest` prepares them.

    Raises:
        DataError: as :func:`ingest`.
    """
    config = located(config, cache)
    table = _interactions(engine.connect(), config)
    _check_readable(table, config)
    later = pc.greater(table[columns.TIMESTAMP], pa.scalar(instant, table[columns.TIMESTAMP].type))
    return _visible(table.filter(pc.and_(pc.is_valid(table[columns.EVENT]), later)))


def _zones(zoned: pa.ChunkedArray) -> dict[str, int]:
    """How many text timestamps say their offset, and how many do not; both 0 for other types."""
    return {"with": pc.sum(zoned).as_py() or 0, "without": pc.sum(pc.invert(zoned)).as_py() or 0}


def _files(connection: Any, table: InteractionsTable) -> list[dict[str, Any]]:
    """Rows and time range of each file in the order of their names; empty where there is one file."""
    paths = engine.resolve(table, "interactions")
    found: list[dict[str, Any]] = []
    for path in paths if len(paths) > 1 else ():
        raw = engine.read(connection, table.model_copy(update={"path": path}), "interactions")
        name = table.columns.get(columns.TIMESTAMP, columns.TIMESTAMP)
        moment = convert.instant(
            engine.column(raw, name, "interactions", f"columns.{columns.TIMESTAMP}"), table.timestamp_unit
        )
        counted = raw.aggregate(rows=raw.count(), first=moment.min(), last=moment.max())
        (row,) = engine.fetch(counted, "interactions").to_pylist()
        times = {key: isoformat(row[key]) if row[key] else None for key in ("first", "last")}
        found.append({"name": path.rsplit("/", 1)[-1], "rows": row["rows"], **times})
    return found


def write(prepared: Prepared, name: str, rows: Rows, facts: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write the tables of a data set and its ``dataset.json``, last; returns the latter's content."""
    out.mkdir(parents=True, exist_ok=True)
    files = (columns.INTERACTIONS_FILE, columns.ITEMS_FILE, columns.USERS_FILE)
    digest = hashlib.sha256()
    for file, table in zip(files, prepared, strict=True):
        pq.write_table(table.replace_schema_metadata(None), out / file, row_group_size=_ROW_GROUP)
        with (out / file).open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    interactions = prepared.interactions
    times = pc.min_max(interactions[columns.TIMESTAMP]).as_py()
    counts = interactions[columns.EVENT].value_counts().to_pylist()
    summary: dict[str, Any] = {
        "name": name,
        "fingerprint": digest.hexdigest(),
        "rows": {"read": rows.read, "kept": rows.kept, "dropped": dict(rows.dropped)},
        **facts,
        "users": pc.count_distinct(interactions[columns.USER]).as_py(),
        "items": pc.count_distinct(interactions[columns.ITEM]).as_py(),
        "first": isoformat(times["min"]) if times["min"] else None,
        "last": isoformat(times["max"]) if times["max"] else None,
        "events": {c["values"]: c["counts"] for c in sorted(counts, key=lambda c: c["values"])},
    }
    text = json.dumps(summary, indent=1, ensure_ascii=False)
    (out / columns.DATASET_FILE).write_text(text, encoding="utf-8")
    return summary


def _visible(table: pa.Table) -> pa.Table:
    return table.select([c for c in table.column_names if not c.startswith("__")])


def _interactions(connection: Any, config: DatasetConfig) -> pa.Table:
    """Every raw row with our columns; ``event`` is null where none matches."""
    table, mapping = config.interactions, config.interactions.columns
    raw = engine.read(connection, table, "interactions")
    side = _Side()

    def mapped(name: str) -> ir.Value:
        return engine.column(raw, mapping.get(name, name), "interactions", f"columns.{name}")

    user, item, raw_time = (mapped(name) for name in (columns.USER, columns.ITEM, columns.TIMESTAMP))
    moment = convert.instant(raw_time, table.timestamp_unit)
    side.unreadable[columns.TIMESTAMP] = convert.blank_to_null(raw_time).notnull() & moment.isnull()
    value: ir.Value = ibis.null("float64")
    if columns.VALUE in mapping:
        raw_value = mapped(columns.VALUE)
        value = convert.number(raw_value)
        side.unreadable[columns.VALUE] = convert.blank_to_null(raw_value).notnull() & value.isnull()
    tests = _event_tests(raw, config)
    event = ibis.cases(*((test, name) for name, test in tests.items()), else_=ibis.null("string"))
    weight = ibis.cases(
        *((tests[name], _weight(config, name, value)) for name in tests), else_=ibis.null("float64")
    )
    side.chosen = {
        columns.USER: convert.text(user),
        columns.ITEM: convert.text(item),
        columns.EVENT: event,
        columns.VALUE: value,
        columns.WEIGHT: weight,
        columns.TIMESTAMP: moment,
    }
    _add_features(side, raw, table.features, "interactions")
    matches = sum((test.cast("int64") for test in tests.values()), start=ibis.literal(0))
    expression = side.of(raw, **{_MATCHES: matches, _ZONED: convert.zoned(raw_time)})
    order = (columns.TIMESTAMP, columns.USER, columns.ITEM, columns.EVENT, columns.VALUE)
    return engine.fetch(expression.order_by(*order), "interactions")


def _weight(config: DatasetConfig, name: str, value: ir.Value) -> ir.Value:
    event = config.events[name]
    weight = ibis.literal(float(event.weight))
    # An interaction without a value counted nothing: no dwell, no watch time.
    return weight * value.fill_null(0.0) if event.weight_by == "value" else weight


def _event_tests(raw: ir.Table, config: DatasetConfig) -> dict[str, ir.BooleanValue]:
    """Event name to the test on a raw row, in the order of names: a mapping's own order may not survive."""
    mapping = config.interactions.columns
    named = None
    if columns.EVENT in mapping:
        key = f"columns.{columns.EVENT}"
        named = convert.text(engine.column(raw, mapping[columns.EVENT], "interactions", key))
    tests: dict[str, ir.BooleanValue] = {}
    for name, event in sorted(config.events.items()):
        if event.when is not None:
            test = ibis.literal(True)
            for column, condition in event.when.items():
                test = test & _condition(raw, column, condition, f"events.{name}.when")
            tests[name] = test
        elif named is not None:
            tests[name] = (named == name).fill_null(False)
        else:
            tests[name] = ibis.literal(True)
    return tests


def _condition(raw: ir.Table, name: str, condition: Condition, key: str) -> ir.BooleanValue:
    if name not in raw.columns:
        raise DataError(
            f"dataset.{key}: no column {name!r} in the interactions; the file has {', '.join(raw.columns)}"
        )
    column = raw[name]
    kind = column.type()
    if not (kind.is_string() or kind.is_numeric() or kind.is_boolean()):
        raise DataError(
            f"dataset.{key}: column {name!r} is of type {kind}; conditions test text, numbers and booleans"
        )
    numeric, spelled = convert.number(column), convert.text(column)
    test: ir.BooleanValue = column.notnull()

    def same(value: str | float | bool) -> ir.BooleanValue:
        if isinstance(value, bool):
            return column == value if kind.is_boolean() else spelled.lower() == str(value).lower()
        return numeric == float(value) if isinstance(value, int | float) else spelled == value

    if condition.equals is not None:
        test = test & same(condition.equals)
    if condition.one_of is not None:
        options = ibis.literal(False)
        for value in condition.one_of:
            options = options | same(value)
        test = test & options
    # Engines order NaN above every number; for us it is within no bounds.
    if condition.min is not None:
        test = test & (numeric >= condition.min) & ~numeric.isnan()
    if condition.max is not None:
        test = test & (numeric <= condition.max) & ~numeric.isnan()
    return test.fill_null(False)


def _check_readable(interactions: pa.Table, config: DatasetConfig) -> None:
    table = config.interactions
    if interactions.num_rows == 0:
        raise DataError(f"dataset.interactions.path: {table.path} has no rows; name a file with interactions")
    twice = interactions.filter(pc.greater(interactions[_MATCHES], 1))
    if twice.num_rows:
        row = twice.slice(0, 1).to_pylist()[0]
        raise DataError(
            f"dataset.events: {twice.num_rows} of {interactions.num_rows} rows match more than one event, "
            f"for example user {row[columns.USER]!r} with item {row[columns.ITEM]!r}; make the 'when' "
            "conditions exclude each other"
        )
    if pc.all(interactions[_FLAG + columns.TIMESTAMP]).as_py():
        raw = table.columns.get(columns.TIMESTAMP, columns.TIMESTAMP)
        raise DataError(
            f"dataset.interactions: none of the {interactions.num_rows} values of column {raw!r} is a "
            "timestamp; write ISO 8601 or whole numbers (dataset.interactions.timestamp_unit), or name "
            "another column in dataset.interactions.columns.timestamp"
        )


def _nothing_matches(config: DatasetConfig, read: int) -> str:
    names = ", ".join(sorted(config.events))
    column = config.interactions.columns.get(columns.EVENT)
    where = f"column {column!r}" if column else "the 'when' conditions"
    return (
        f"dataset.events: none of the {read} rows matches an event ({names}); "
        f"check {where} and dataset.events"
    )


def _entities(
    connection: Any, table: Table | None, name: str, key: str, interactions: pa.Table
) -> tuple[pa.Table, int]:
    """Rows of the items or users table, then one for each that only interactions name, and their number."""
    side = _Side()
    titled = key == columns.ITEM
    ids = pc.unique(interactions[key]).drop_null()
    named = ids.filter(pc.not_equal(ids, ""))
    if table is None:
        rows = pa.table({key: named.sort()})
        return (rows.append_column(columns.TITLE, pa.nulls(len(rows), pa.string())) if titled else rows), 0
    raw = engine.read(connection, table, name)
    id_column = engine.column(raw, table.columns.get(key, key), name, f"columns.{key}")
    side.chosen[key] = convert.text(id_column)
    if titled:
        title = table.columns.get(columns.TITLE)
        side.chosen[columns.TITLE] = (
            convert.blank_to_null(convert.text(engine.column(raw, title, name, f"columns.{columns.TITLE}")))
            if title
            else ibis.null("string")
        )
    _add_features(side, raw, table.features, name)
    typed = side.of(raw)
    # The order must not depend on the engine's threads, also among rows that share an id.
    ordered = typed.order_by(key, *(typed[c].cast("string") for c in side.chosen if c != key))
    listed = engine.fetch(ordered, name)
    missing = named.filter(pc.invert(pc.is_in(named, listed[key].combine_chunks()))).sort()
    added = pa.table(
        {f.name: missing if f.name == key else pa.nulls(len(missing), f.type) for f in listed.schema}
    )
    together = pa.concat_tables([listed, added.cast(listed.schema)])
    return together.sort_by(key) if len(missing) else listed, len(missing)


def _with_follows(connection: Any, table: FollowsTable, users: pa.Table) -> pa.Table:
    """Users with the sorted list of whom each follows, null for those who follow nobody.

    A follower that no other table names is nobody to recommend to, and is left out.
    """
    raw = engine.read(connection, table, "follows")
    who, whom = (
        convert.blank_to_null(
            convert.text(engine.column(raw, table.columns.get(name, name), "follows", f"columns.{name}"))
        )
        for name in (columns.USER, columns.FOLLOWS)
    )
    pairs = raw.select(**{columns.USER: who, columns.FOLLOWS: whom}).drop_null().distinct()
    fetched = engine.fetch(pairs.order_by(columns.USER, columns.FOLLOWS), "follows")
    listed: dict[str, list[str]] = {}
    for user, followed in zip(*(fetched[name].to_pylist() for name in pairs.columns), strict=True):
        listed.setdefault(user, []).append(followed)
    column = [listed.get(user) for user in users[columns.USER].to_pylist()]
    return users.append_column(columns.FOLLOWS, pa.array(column, pa.list_(pa.string())))


def _add_features(side: _Side, raw: ir.Table, features: Mapping[str, Feature], name: str) -> None:
    for feature, described in features.items():
        raw_name = described.column or feature
        column = engine.column(raw, raw_name, name, f"features.{feature}.column")
        side.chosen[feature] = convert.feature(column, described)
        if described.kind in (FeatureKind.NUMERIC, FeatureKind.TIMESTAMP):
            side.unreadable[feature] = convert.blank_to_null(column).notnull() & side.chosen[feature].isnull()
