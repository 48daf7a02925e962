import csv
from pathlib import Path

import pyarrow.parquet as pq

from slate.config import load_config
from slate.steps.ingest import ingest

BOOKSHOP = Path(__file__).parents[2] / "examples" / "bookshop"


def test_the_bookshop_is_ingested_whole(tmp_path: Path) -> None:
    dataset = load_config(BOOKSHOP / "bookshop.yaml").section("dataset")
    metrics = ingest(dataset, tmp_path / "dataset", tmp_path / "cache")
    with (BOOKSHOP / "visits.csv").open(encoding="utf-8", newline="") as file:
        visits = list(csv.DictReader(file, delimiter=";"))
    assert metrics == {"rows_read": len(visits), "rows_kept": len(visits), "users": 320, "items": 150}
    prepared = pq.read_table(tmp_path / "dataset" / "interactions.parquet")
    returned = [visit for visit in visits if visit["action"] == "returned"]
    assert returned
    assert prepared["weight"].to_pylist().count(-3.0) == len(returned)
    assert pq.read_table(tmp_path / "dataset" / "users.parquet").column_names == ["user_id"]
