"""A prepared data set and the events of the log, as one."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from slate import columns
from slate.config import DatasetConfig
from slate.data.ingest import Prepared

#: Why rows of the log were left out.
UNKNOWN_EVENT: Final = "log_unknown_event"
IN_DATASET: Final = "log_in_dataset"

_SAME: Final = (columns.USER, columns.ITEM, columns.EVENT, columns.TIMESTAMP)
_ORDER: Final = (columns.TIMESTAMP, columns.USER, columns.ITEM, columns.EVENT, columns.VALUE)
_KEPT: Final = "__kept"


class Union(NamedTuple):
    """The data set with the log's events, how many came, and where the others went."""

    prepared: Prepared
    added: int
    dropped: Mapping[str, int]
    new_items: int
    new_users: int


def with_events(config: DatasetConfig, prepared: Prepared, events: pa.Table) -> Union:
    """Add events of the log, which are named already, to a data set whose rows conditions have named.

    ``events`` has user_id, item_id, event, value, timestamp and organic. Left out are events that the data
    set does not describe, and those among its interactions, as when the log is exported into them. Context
    features of the log's rows, and all features of items and users that only the log names, are null.
    """
    names = pa.array(sorted(config.events), pa.string())
    described = events.filter(pc.is_in(events[columns.EVENT], names))
    here = _with_organic(prepared.interactions)
    fresh = _not_among(described, here)
    dropped = {
        UNKNOWN_EVENT: len(events) - len(described),
        IN_DATASET: len(described) - len(fresh),
    }
    added = _like(fresh.append_column(columns.WEIGHT, _weights(config, fresh)), here.schema)
    together = pa.concat_tables([here, added]).sort_by([(name, "ascending") for name in _ORDER])
    items = _with_ids(prepared.items, columns.ITEM, fresh[columns.ITEM])
    users = _with_ids(prepared.users, columns.USER, fresh[columns.USER])
    return Union(
        Prepared(together if len(fresh) else prepared.interactions, items, users),
        len(fresh),
        {reason: count for reason, count in dropped.items() if count},
        len(items) - len(prepared.items),
        len(users) - len(prepared.users),
    )


def _not_among(events: pa.Table, interactions: pa.Table) -> pa.Table:
    """Those events of which no interaction has the same user, item, name and instant."""
    keys = [*_SAME]
    marked = interactions.select(keys).group_by(keys).aggregate([])
    marked = marked.append_column(_KEPT, pa.array([True] * len(marked), pa.bool_()))
    joined = events.append_column("__row", pa.array(range(len(events)), pa.int64()))
    joined = joined.join(marked.cast(_same_types(marked.schema, events.schema)), keys, join_type="left outer")
    rows = joined.filter(pc.is_null(joined[_KEPT]))["__row"].combine_chunks()
    return events.take(rows.sort() if len(rows) else rows)


def _same_types(schema: pa.Schema, like: pa.Schema) -> pa.Schema:
    return pa.schema([like.field(f.name) if f.name in like.names else f for f in schema])


def _with_organic(interactions: pa.Table) -> pa.Table:
    """With a column that says which interactions no slate led to; null where that is not known."""
    if columns.ORGANIC in interactions.column_names:
        return interactions
    return interactions.append_column(columns.ORGANIC, pa.nulls(len(interactions), pa.bool_()))


def _weights(config: DatasetConfig, events: pa.Table) -> pa.Array:
    """Each event's weight, times its value where that counts; as :mod:`slate.data.ingest` weighs rows."""
    weights = []
    for name, value in zip(events[columns.EVENT].to_pylist(), events[columns.VALUE].to_pylist(), strict=True):
        event = config.events[name]
        weights.append(event.weight * (value or 0.0) if event.weight_by == "value" else event.weight)
    return pa.array(weights, pa.float64())


def _like(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly these columns, null where it has none of the name."""
    arrays = [
        table[field.name].cast(field.type) if field.name in table.column_names
        else pa.chunked_array([pa.nulls(len(table), field.type)])
        for field in schema
    ]  # fmt: skip
    return pa.table(arrays, schema=schema)


def _with_ids(table: pa.Table, key: str, ids: pa.ChunkedArray) -> pa.Table:
    """The table with a row for every id, its other columns null."""
    named = pc.unique(ids)
    missing = named.filter(pc.invert(pc.is_in(named, table[key].combine_chunks())))
    if not len(missing):
        return table
    added = _like(pa.table({key: missing}), table.schema)
    return pa.concat_tables([table, added]).sort_by(key)
