"""The index step: folders in, an index folder out."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slate.errors import ModelError
from slate.retrieval.index import open_index
from slate.steps.build_index import build_index


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    splits, tower = tmp_path / "splits", tmp_path / "two_tower"
    splits.mkdir()
    tower.mkdir()
    ids = [f"film {row}, part {row % 3}" for row in range(60)]
    table = {"item_id": ids, "title": [None] * 60, "train_count": [1] * 60}
    pq.write_table(
        pa.table(
            table,
            schema=pa.schema([("item_id", pa.string()), ("title", pa.string()), ("train_count", pa.int64())]),
        ),
        splits / "items.parquet",
    )
    rng = np.random.default_rng(0)
    np.save(tower / "candidate_embeddings.npy", rng.standard_normal((60, 8), dtype=np.float32))
    np.savez(tower / "parity.npz", embedding=rng.standard_normal((32, 8), dtype=np.float32))
    return splits, tower


def test_writes_a_searchable_index(folders: tuple[Path, Path], tmp_path: Path) -> None:
    metrics = build_index({"k": 10}, *folders, tmp_path / "index")
    assert metrics["index_size"] == 60
    assert metrics["index_recall"] == 1.0
    record = json.loads((tmp_path / "index" / "index.json").read_text())
    assert {"kind", "dim", "size", "k", "recall", "recall_target", "parameters", "latency", "curve"} <= set(
        record
    )
    assert (record["kind"], record["dim"], record["size"], record["k"]) == ("brute_force", 8, 60, 10)
    assert record["queries"]["source"] == "tower"
    index = open_index(tmp_path / "index")
    vectors = np.load(folders[1] / "candidate_embeddings.npy")
    found = index.search(vectors[7:8], 3)
    assert found.rows[0, 0] == int(np.argmax(vectors @ vectors[7]))
    assert index.ids[int(found.rows[0, 0])].startswith("film ")


def test_without_recorded_queries_it_samples_candidates(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (folders[1] / "parity.npz").unlink()
    build_index({"k": 10}, *folders, tmp_path / "index")
    record = json.loads((tmp_path / "index" / "index.json").read_text())
    assert record["queries"]["source"] == "candidates"


def test_missing_or_ill_fitting_embeddings_are_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    path = folders[1] / "candidate_embeddings.npy"
    np.save(path, np.ones((59, 8), np.float32))
    with pytest.raises(ModelError, match="60 item ids for 59 embeddings"):
        build_index({}, *folders, tmp_path / "index")
    path.unlink()
    with pytest.raises(ModelError, match="run the train_two_tower step first"):
        build_index({}, *folders, tmp_path / "index")
    assert not (tmp_path / "index").exists()
