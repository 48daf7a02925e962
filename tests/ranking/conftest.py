"""A small world with a planted taste: people take items of their own genre, and nothing else."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slate.data.holdout import Split
from slate.retrieval.query import EMBED_FILE, HISTORY_ITEMS, HISTORY_VECTORS, encode_queries
from slate.steps.build_index import build_index
from slate.steps.split import split

START = datetime(2026, 1, 1, tzinfo=UTC)
DIM = 6


@dataclass(frozen=True)
class World:
    """Folders of the steps before the ranker, and the configuration of the data."""

    splits: Path
    two_tower: Path
    index: Path
    dataset_config: dict[str, Any]

    @property
    def arguments(self) -> tuple[dict[str, Any], Path, Path, Path]:
        return self.dataset_config, self.splits, self.two_tower, self.index


def write_dataset(
    folder: Path,
    interactions: Sequence[Mapping[str, Any]],
    items: Sequence[Mapping[str, Any]],
    users: Sequence[Mapping[str, Any]],
) -> None:
    """A prepared data set folder; ``timestamp`` is seconds after the start."""
    folder.mkdir(parents=True)
    rows = [
        {
            "user_id": row["user_id"],
            "item_id": row["item_id"],
            "event": row.get("event", "view"),
            "value": row.get("value"),
            "weight": row.get("weight", 1.0),
            "timestamp": START + timedelta(seconds=float(row["timestamp"])),
        }
        for row in sorted(interactions, key=lambda r: (r["timestamp"], r["user_id"], r["item_id"]))
    ]
    schema = pa.schema(
        [
            ("user_id", pa.string()),
            ("item_id", pa.string()),
            ("event", pa.string()),
            ("value", pa.float64()),
            ("weight", pa.float64()),
            ("timestamp", pa.timestamp("us", "UTC")),
        ]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "interactions.parquet")
    item_rows = [{"title": None, **item} for item in items]
    fields = [("item_id", pa.string()), ("title", pa.string())]
    fields += [
        (name, pa.float64() if isinstance(value, float) else pa.string())
        for name, value in items[0].items()
        if name not in ("item_id", "title")
    ]
    pq.write_table(pa.Table.from_pylist(item_rows, pa.schema(fields)), folder / "items.parquet")
    names = [(name, pa.string()) for name in users[0]]
    pq.write_table(pa.Table.from_pylist(list(users), pa.schema(names)), folder / "users.parquet")
    (folder / "dataset.json").write_text(json.dumps({"fingerprint": "0" * 64}))


def write_tower(splits: Path, out: Path, embeddings: npt.NDArray[np.float32], length: int = 8) -> None:
    """A stand-in tower with the real inputs: the mean of the history's candidate vectors."""
    import tensorflow as tf

    from slate.litert import convert
    from slate.retrieval.specifications import of_queries

    data = Split.open(splits)

    def serve(given: Mapping[str, Any]) -> dict[str, Any]:
        present = tf.cast(given[HISTORY_ITEMS] > 0, tf.float32)
        total = tf.reduce_sum(given[HISTORY_VECTORS] * tf.expand_dims(present, -1), axis=1)
        return {"embedding": total / tf.maximum(tf.reduce_sum(present, axis=1, keepdims=True), 1.0)}

    specification = of_queries(encode_queries([], data.features, length))
    dim = embeddings.shape[1]
    specification[HISTORY_VECTORS] = tf.TensorSpec([None, None, dim], tf.float32, name=HISTORY_VECTORS)
    (out / "query_tower").mkdir(parents=True)
    served = tf.function(serve, input_signature=[specification], autograph=False)
    convert.write(served, out / "query_tower" / EMBED_FILE)
    np.save(out / "candidate_embeddings.npy", embeddings)
    rng = np.random.default_rng(0)
    np.savez(
        out / "parity.npz",
        embedding=rng.standard_normal((30, embeddings.shape[1]), dtype=np.float32),
        **{HISTORY_ITEMS: np.zeros((30, length), np.int32)},
    )


def make_world(
    folder: Path,
    interactions: Sequence[Mapping[str, Any]],
    items: Sequence[Mapping[str, Any]],
    users: Sequence[Mapping[str, Any]],
    *,
    events: Mapping[str, Any],
    values: bool = False,
    split_config: Mapping[str, Any] | None = None,
    embeddings: npt.NDArray[np.float32] | None = None,
) -> World:
    """Run the real split and index steps over a data set, with a stand-in tower."""
    write_dataset(folder / "dataset", interactions, items, users)
    mapped = {"user_id": "u", "item_id": "i", "timestamp": "t"} | ({"value": "v"} if values else {})
    config: dict[str, Any] = {
        "interactions": {"path": "unused.csv", "columns": mapped | {"event": "e"}},
        "events": dict(events),
    }
    if len(items[0]) > 1:
        features = {
            name: "numeric" if isinstance(value, float) else "categorical"
            for name, value in items[0].items()
            if name not in ("item_id", "title")
        }
        config["items"] = {"path": "unused.csv", "features": features}
    if len(users[0]) > 1:
        features = {n: "categorical" for n in users[0] if n != "user_id"}
        config["users"] = {"path": "unused.csv", "features": features}
    cut = {"unseen_users": 0, **(split_config or {})}
    split(config, cut, folder / "dataset", folder / "splits")
    if embeddings is None:
        embeddings = np.random.default_rng(7).standard_normal((len(items), DIM), dtype=np.float32)
    write_tower(folder / "splits", folder / "two_tower", embeddings)
    build_index({"k": 10}, folder / "splits", folder / "two_tower", folder / "index")
    return World(folder / "splits", folder / "two_tower", folder / "index", config)


def taste_data(
    people: int = 400, seed: int = 5
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Interactions, items and users: 8 genres of 8 items, three training items, three later, one last.

    Liked are the items whose number in the genre is even; the value is 10 for genre 0 to 3, else 2. One
    more item of genre 2 has never been seen.
    """
    rng = np.random.default_rng(seed)
    items = [{"item_id": f"g{g}-{n}", "genre": f"genre {g}"} for g in range(8) for n in range(8)]
    items.append({"item_id": "new", "genre": "genre 2"})
    users = [{"user_id": f"p{p:03d}", "town": f"town {p % 3}"} for p in range(people)]
    interactions = []
    for p in range(people):
        genre = p % 8
        taken = rng.permutation(8)[:7]
        at = [*rng.uniform(0, 1_000, 3), *rng.uniform(2_000, 3_000, 3), rng.uniform(4_000, 5_000)]
        for number, time in zip(taken, sorted(at), strict=True):
            liked = number % 2 == 0
            interactions.append(
                {
                    "user_id": f"p{p:03d}",
                    "item_id": f"g{genre}-{number}",
                    "event": "like" if liked else "view",
                    "value": 10.0 if genre < 4 else 2.0,
                    "timestamp": time,
                }
            )
    return interactions, items, users


TASTE_EVENTS = {"view": {"weight": 0.5}, "like": {"weight": 1.0}, "report": {"weight": -5.0}}


@pytest.fixture(name="make_world", scope="session")
def world_maker() -> Callable[..., World]:
    """:func:`make_world`, for tests that bring their own interactions."""
    return make_world


@pytest.fixture(scope="session")
def taste(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The planted taste, split in time."""
    return make_world(
        tmp_path_factory.mktemp("taste"),
        *taste_data(),
        events=TASTE_EVENTS,
        values=True,
        split_config={"valid_fraction": 3 / 7, "test_fraction": 1 / 7},
    )
