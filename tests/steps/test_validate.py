from pathlib import Path

import pytest

from slate.errors import DataError
from slate.steps.ingest import ingest
from slate.steps.validate import validate


def test_valid_rows_pass_and_the_others_are_counted(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "user_id,item_id,timestamp\na,x,1e9\na,x,100000000\na,x,100000000\nb,y,100000001\n"
    )
    dataset = {
        "interactions": {"path": str(tmp_path / "log.csv")},
        "validation": {"null_timestamp": "warning"},
    }
    ingest(dataset, tmp_path / "dataset", tmp_path)
    metrics = validate(dataset, tmp_path / "dataset", tmp_path / "valid", tmp_path / "report.html")
    assert metrics == {"rows_read": 4, "rows_kept": 2, "rows_dropped": 2, "users": 2, "items": 2}
    assert "duplicate_interaction" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_wrong_unit_stops_the_pipeline(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\na,x,1700000000\nb,y,1700000001\n")
    dataset = {"interactions": {"path": str(tmp_path / "log.csv"), "timestamp_unit": "ms"}}
    ingest(dataset, tmp_path / "dataset", tmp_path)
    with pytest.raises(DataError, match=r"early_timestamp: 2 .*check dataset\.interactions\.timestamp_unit"):
        validate(dataset, tmp_path / "dataset", tmp_path / "valid", tmp_path / "report.html")
