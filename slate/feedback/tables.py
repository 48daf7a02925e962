"""The columns of the log, and Parquet whose bytes depend on nothing but the rows."""

import io
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

_INSTANT: Final = pa.timestamp("us", "UTC")

EVENTS: Final = pa.schema(
    [
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("event", pa.string(), nullable=False),
        ("value", pa.float64()),
        pa.field("timestamp", _INSTANT, nullable=False),
        pa.field("received", _INSTANT, nullable=False),
        ("exposure_id", pa.string()),
        pa.field("organic", pa.bool_(), nullable=False),
    ]
)
OUTCOMES: Final = pa.schema(
    [
        *EVENTS,
        ("rollout_id", pa.string()),
        ("step", pa.string()),
        pa.field("assigned_variant", pa.string(), nullable=False),
        pa.field("release_id", pa.string(), nullable=False),
        ("position", pa.int32()),
        ("propensity", pa.float64()),
    ]
)
EXPOSURES: Final = pa.schema(
    [
        pa.field("exposure_id", pa.string(), nullable=False),
        pa.field("timestamp", _INSTANT, nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        ("rollout_id", pa.string()),
        ("step", pa.string()),
        ("bucket", pa.int32()),
        ("allocation", pa.float64()),
        ("request_id", pa.string()),
        pa.field("assigned_variant", pa.string(), nullable=False),
        pa.field("served_variant", pa.string(), nullable=False),
        pa.field("release_id", pa.string(), nullable=False),
        pa.field("rung", pa.string(), nullable=False),
        ("latency_ms", pa.float64()),
        ("context", pa.string()),
        (
            "items",
            pa.list_(
                pa.struct(
                    [
                        ("item_id", pa.string()),
                        ("score", pa.float64()),
                        ("position", pa.int32()),
                        ("source", pa.string()),
                        ("propensity", pa.float64()),
                    ]
                )
            ),
        ),
    ]
)
QUARANTINE: Final = pa.schema(
    [
        pa.field("reason", pa.string(), nullable=False),
        ("received", _INSTANT),
        pa.field("stream", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("record", pa.string(), nullable=False),
    ]
)


def parquet(schema: pa.Schema, rows: Sequence[Sequence[Any]]) -> bytes:
    """A Parquet file of the rows in their order. Instants are microseconds since 1970.

    The same rows give the same bytes, as long as PyArrow is the same.
    """
    columns = [
        pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)
    ]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), sink, compression="zstd", store_schema=False)
    return sink.getvalue()
