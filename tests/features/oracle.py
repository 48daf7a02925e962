"""What the models should be given, worked out slowly from Parquet and JSON files, without Slate's code."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PARTS = ("train", "valid", "test", "unseen_users")
CORE = ("user_id", "item_id", "event", "value", "weight", "timestamp")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Row:
    """One interaction, which is also a moment at which its user might ask. ``at`` is in microseconds."""

    part: str
    user: str
    item: str
    event: str
    at: int
    context: Mapping[str, Any]


def natural(item: str) -> tuple[bool, int, str]:
    """Whole numbers first, as numbers."""
    whole = item.isascii() and item.isdigit()
    return (not whole, int(item) if whole else 0, item)


def encode(encoder: Mapping[str, Any], value: Any) -> Any:
    """One prepared value: a code, a list of codes, or a scaled number and whether it is missing."""
    kind = encoder["kind"]
    if kind in ("numeric", "timestamp"):
        if isinstance(value, datetime):
            value = (value - EPOCH) / timedelta(days=1)
        if value is None or not math.isfinite(value):
            return [0.0, 1.0]
        return [(value - encoder["mean"]) / encoder["std"], 0.0]
    if value is None:
        tokens = []
    elif kind == "text":
        tokens = value.lower().split(" ")
    elif kind == "categorical_list":
        tokens = [part for part in value if part]
    else:
        tokens = [value]
    order = list(encoder["vocabulary"])
    codes = [order.index(token) + 2 if token in order else 1 for token in tokens]
    if kind in ("text", "categorical_list"):
        return (codes + [0] * encoder["width"])[: encoder["width"]]
    return codes[0] if codes else 0


class Oracle:
    """Reads a splits folder: the four parts, users.parquet, items.parquet and features.json."""

    def __init__(self, splits: Path) -> None:
        self.features = json.loads((splits / "features.json").read_text(encoding="utf-8"))
        self.items = pq.read_table(splits / "items.parquet").to_pylist()
        self.places = {item["item_id"]: place for place, item in enumerate(self.items)}
        self.users = {user["user_id"]: user for user in pq.read_table(splits / "users.parquet").to_pylist()}
        self.rows = [row for part in PARTS for row in _rows(splits, part)]
        self._encoded: dict[tuple[str, str], Any] = {}

    @cached_property
    def lives(self) -> Mapping[str, list[Row]]:
        """Everything each user did, in the order of time, then item, then event."""
        lives: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            lives[row.user].append(row)
        for life in lives.values():
            life.sort(key=lambda row: (row.at, natural(row.item), row.event))
        return lives

    def before(self, user: str, at: int) -> list[Row]:
        """What a user did strictly before an instant."""
        return [row for row in self.lives.get(user, ()) if row.at < at]

    def query(
        self, history: Sequence[Row], at: int, user: str | None, context: Mapping[str, Any], length: int
    ) -> dict[str, Any]:
        """One row of a model's inputs."""
        recent = [row for row in history if row.item in self.places][-length:]
        padding = [0] * (length - len(recent))
        codes = self.features["events"]
        encoded: dict[str, Any] = {
            "history_items": padding + [self.places[row.item] + 1 for row in recent],
            "history_events": padding + [codes.index(row.event) + 1 for row in recent],
            "history_ages": padding + [math.log1p((at - row.at) / 1_000_000) for row in recent],
        }
        known = self.users.get(user, {}) if user is not None else {}
        for side, record in (("user", known), ("context", context)):
            for encoder in self.features["users" if side == "user" else side]:
                encoded[f"{side}_{encoder['name']}"] = encode(encoder, record.get(encoder["name"]))
        return encoded

    def arrays(self, queries: Iterable[Mapping[str, Any]]) -> Arrays:
        """Rows of :meth:`query` as arrays."""
        rows = list(queries)
        return {name: np.asarray([row[name] for row in rows]) for name in rows[0]}

    def item_arrays(self) -> Arrays:
        """Item features by catalogue row."""
        return {
            encoder["name"]: np.asarray([encode(encoder, item[encoder["name"]]) for item in self.items])
            for encoder in self.features["items"]
        }


def _rows(splits: Path, part: str) -> list[Row]:
    path = splits / f"{part}.parquet"
    if not path.exists():
        return []
    table = pq.read_table(path)
    instants = table["timestamp"].cast(pa.int64()).to_pylist()
    return [
        Row(
            part,
            record["user_id"],
            record["item_id"],
            record["event"],
            at,
            {name: value for name, value in record.items() if name not in CORE},
        )
        for record, at in zip(table.to_pylist(), instants, strict=True)
    ]


def same(found: Arrays, expected: Arrays) -> None:
    """Ids identical, floats within 1e-5, and nothing missing on either side."""
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].shape == array.shape, name
        if found[name].dtype.kind == "i":
            np.testing.assert_array_equal(found[name], array, err_msg=name)
        else:
            np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-5, err_msg=name)
