"""Interactions, items and users made up, as the **splits** folder that every later step reads.

Items belong to clusters and a user keeps to a few of them, so that embeddings made from the clusters have
the neighbourhoods that an index lives on. Nothing here is meant to be learnt from.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from slate import columns
from slate.clock import isoformat
from slate.config import DatasetConfig
from slate.data.catalogue import TRAIN_COUNT
from slate.data.features import FeatureSpace, fit_encoders

EVENT: Final = "click"
_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_DAYS: Final = 100
_PER_USER: Final = 50
_CLUSTERS_OF_A_USER: Final = 4
_CATEGORIES: Final = 100
_COUNTRIES: Final = ("de", "fr", "gb", "in", "jp", "us")
_HELD_OUT: Final = 200

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Size:
    """How large a synthetic catalogue is; item ids begin with ``prefix``."""

    items: int
    users: int = 20_000
    prefix: str = "item"

    @property
    def clusters(self) -> int:
        """About as many as a tree index has leaves."""
        return max(4, round(self.items**0.5))


def dataset_config() -> DatasetConfig:
    """The description of the made-up data set: two item features, one user feature, one event."""
    return DatasetConfig.model_validate(
        {
            "name": "synthetic",
            "interactions": {"path": "made-up"},
            "items": {"path": "made-up", "features": {"category": "categorical", "price": "numeric"}},
            "users": {"path": "made-up", "features": {"country": "categorical"}},
            "events": {EVENT: {"weight": 1.0}},
        }
    )


def clusters_of(size: Size, seed: int) -> Int64:
    """The cluster of each catalogue row, int64 [items]."""
    return np.random.default_rng([seed, 0]).integers(0, size.clusters, size.items)


def user_ids(size: Size) -> list[str]:
    """The ids of all users, none of whom lacks a history."""
    return [f"user-{number:06d}" for number in range(size.users)]


def write_splits(size: Size, seed: int, out: Path) -> None:
    """Write the **splits** folder ``out``; see ``docs/artefacts.md``."""
    out.mkdir(parents=True)
    config, rng = dataset_config(), np.random.default_rng([seed, 1])
    clusters = clusters_of(size, seed)
    items = _items(size, clusters, rng)
    countries = rng.choice(_COUNTRIES, size.users).tolist()
    users = pa.table({columns.USER: user_ids(size), "country": pa.array(countries, pa.string())})
    described = config.items, config.users
    tables = items, users
    encoders = [
        fit_encoders(part.features, {name: table[name].to_pylist() for name in part.features})
        for part, table in zip(described, tables, strict=True)
        if part is not None
    ]
    features = FeatureSpace(encoders[0], encoders[1], (), (EVENT,))
    (out / columns.FEATURES_FILE).write_text(features.to_json(), encoding="utf-8")
    pq.write_table(items, out / columns.ITEMS_FILE)
    pq.write_table(users, out / columns.USERS_FILE)
    train = _interactions(size, clusters, rng)
    held = train.slice(train.num_rows - 2 * _HELD_OUT)
    train = train.slice(0, train.num_rows - 2 * _HELD_OUT)
    pq.write_table(train, out / columns.TRAIN_FILE)
    pq.write_table(held.slice(0, _HELD_OUT), out / columns.VALID_FILE)
    pq.write_table(held.slice(_HELD_OUT), out / columns.TEST_FILE)
    _write_record(size, seed, train, held, out)


def _items(size: Size, clusters: Int64, rng: np.random.Generator) -> pa.Table:
    digits = len(str(size.items))
    ids = [f"{size.prefix}-{row:0{digits}d}" for row in range(size.items)]
    # Every item counts as trained on: those that never were would all share one vector.
    counts = 1 + (50 / np.sqrt(1 + rng.permutation(size.items))).astype(np.int64)
    categories = [f"category {cluster % _CATEGORIES}" for cluster in clusters.tolist()]
    return pa.table(
        {
            columns.ITEM: ids,
            columns.TITLE: pa.nulls(size.items, pa.string()),
            "category": pa.array(categories, pa.string()),
            "price": rng.gamma(2.0, 10.0, size.items).round(2),
            TRAIN_COUNT: pa.array(counts),
        }
    )


def _interactions(size: Size, clusters: Int64, rng: np.random.Generator) -> pa.Table:
    """Sorted by time. A user draws from the items of some clusters, whose rows lie together in ``order``."""
    order = np.argsort(clusters, kind="stable")
    starts = np.searchsorted(clusters[order], np.arange(size.clusters + 1))
    liked = rng.integers(0, size.clusters, (size.users, _CLUSTERS_OF_A_USER))
    chosen = liked[np.arange(size.users)[:, None], rng.integers(0, liked.shape[1], (size.users, _PER_USER))]
    width = np.maximum(starts[chosen + 1] - starts[chosen], 1)
    places = starts[chosen] + (rng.random(chosen.shape) * width).astype(np.int64)
    rows = order[np.minimum(places, size.items - 1)].ravel()
    users = np.repeat(np.arange(size.users), _PER_USER)
    seconds = np.sort(rng.integers(0, _DAYS * 86_400, len(rows)))
    shuffled = rng.permutation(len(rows))
    digits = len(str(size.items))
    count = len(rows)
    return pa.table(
        {
            columns.USER: [f"user-{users[at]:06d}" for at in shuffled],
            columns.ITEM: [f"{size.prefix}-{rows[at]:0{digits}d}" for at in shuffled],
            columns.EVENT: pa.array([EVENT] * count, pa.string()),
            columns.VALUE: pa.nulls(count, pa.float64()),
            columns.WEIGHT: np.ones(count),
            columns.TIMESTAMP: pa.array(
                seconds * 1_000_000 + int(_START.timestamp()) * 1_000_000, pa.timestamp("us", "UTC")
            ),
        }
    )


def _write_record(size: Size, seed: int, train: pa.Table, held: pa.Table, out: Path) -> None:
    end = isoformat(_START + timedelta(days=_DAYS))
    name = f"synthetic {size} {seed}"
    record = {
        "protocol": "temporal",
        "train_end": isoformat(train[columns.TIMESTAMP][-1].as_py()),
        "valid_end": isoformat(held[columns.TIMESTAMP][_HELD_OUT - 1].as_py()),
        "watermark": end,
        "rows": {"train": train.num_rows, "valid": _HELD_OUT, "test": _HELD_OUT, "unseen_users": 0},
        "dataset_fingerprint": name,
        "fingerprint": name,
    }
    (out / columns.SPLIT_FILE).write_text(json.dumps(record, indent=1), encoding="utf-8")
