import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import slate  # noqa: F401  (sets the Keras version before TensorFlow is imported)

pytest.importorskip("tensorflow")

from slate.config import Feature, FeatureKind
from slate.data.features import FeatureSpace, fit_encoders
from slate.errors import ConfigError, DataError
from slate.steps.train_two_tower import train_two_tower

DATASET = {
    "interactions": {"path": "rows.csv", "columns": {"event": "event"}},
    "events": {"like": {"weight": 1}, "hide": {"weight": -1}},
}
RETRIEVAL = {"dim": 8, "blocks": 1, "heads": 1, "history": 6, "batch_size": 8, "slots": 1.0, "epochs": 2}


def table(rows: Sequence[tuple[str, str, str, int, str]]) -> pa.Table:
    users, items, events, seconds, devices = (list(column) for column in zip(*rows, strict=True))
    instants = pa.array([s * 1_000_000 for s in seconds], pa.int64()).cast(pa.timestamp("us", "UTC"))
    fixed = {"value": pa.nulls(len(rows), pa.float64()), "weight": [1.0] * len(rows), "timestamp": instants}
    return pa.table({"user_id": users, "item_id": items, "event": events, **fixed, "device": devices})


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    """Interactions with a context feature, items and users without any feature."""
    rows = [
        (
            f"u{user}",
            f"i{(user + step) % 7}",
            "hide" if step == 2 else "like",
            100 * step + user,
            "tv" if user % 3 else "web",
        )
        for user in range(12)
        for step in range(6)
    ]
    folder = tmp_path / "splits"
    folder.mkdir()
    for name, part in (("train", slice(0, 4)), ("valid", slice(4, 5)), ("test", slice(5, 6))):
        kept = [r for start in range(0, len(rows), 6) for r in rows[start : start + 6][part]]
        pq.write_table(table(kept), folder / f"{name}.parquet")
    ids = [f"i{n}" for n in range(9)]
    pq.write_table(
        pa.table({"item_id": ids, "title": ids, "train_count": [7] * 7 + [0] * 2}), folder / "items.parquet"
    )
    pq.write_table(pa.table({"user_id": [f"u{n}" for n in range(12)]}), folder / "users.parquet")
    context = fit_encoders({"device": Feature(kind=FeatureKind.CATEGORICAL)}, {"device": ["tv", "web"]})
    (folder / "features.json").write_text(FeatureSpace((), (), context, ("like", "hide")).to_json())
    (folder / "split.json").write_text(json.dumps({"fingerprint": "f", "protocol": "temporal"}))
    return folder


def test_the_step_writes_the_artefact_it_promises(
    splits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "two_tower"
    said: list[str] = []
    monkeypatch.setattr("slate.retrieval.train.print", lambda text, **_: said.append(text), raising=False)
    metrics = train_two_tower(RETRIEVAL, DATASET, splits, out, tmp_path / "checkpoints")
    assert {p.name for p in out.iterdir()} == {
        "query_tower",
        "candidate_embeddings.npy",
        "parity.npz",
        "training.json",
        "weights.npz",
    }
    assert np.load(out / "candidate_embeddings.npy").shape == (9, 8)
    parity = np.load(out / "parity.npz")
    assert set(parity.files) == {
        "history_items",
        "history_events",
        "history_ages",
        "context_device",
        "embedding",
    }
    # Twelve validation queries, then the last state of each training user.
    assert parity["embedding"].shape == (24, 8)
    record = json.loads((out / "training.json").read_text())
    assert [epoch["epoch"] for epoch in record["epochs"]] == [1, 2]
    best = record["epochs"][record["best_epoch"] - 1]
    assert best["valid_ndcg_10"] == metrics["valid_ndcg_10"]
    assert (record["valid_targets"], record["seed"], record["loss"]) == (12, 1, "full")
    assert sum(line.startswith("two-tower: epoch") for line in said) == 2
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_impossible_configuration_and_missing_data_are_errors(splits: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="dim must be a multiple of heads"):
        train_two_tower({**RETRIEVAL, "heads": 3}, DATASET, splits, tmp_path / "o", None)
    with pytest.raises(DataError, match=r"features\.json is missing"):
        train_two_tower(RETRIEVAL, DATASET, tmp_path, tmp_path / "o", None)
