from pathlib import Path

from slate.config import load_config
from slate.data.holdout import Split
from slate.steps.ingest import ingest
from slate.steps.split import split
from slate.steps.validate import validate

BOOKSHOP = Path(__file__).parents[2] / "examples" / "bookshop"


def test_the_bookshop_goes_all_the_way_to_its_splits(tmp_path: Path) -> None:
    config = load_config(BOOKSHOP / "bookshop.yaml")
    dataset = config.section("dataset")
    ingested = ingest(dataset, tmp_path / "dataset", tmp_path / "cache")
    validate(dataset, tmp_path / "dataset", tmp_path / "valid", tmp_path / "report.html")
    metrics = split(dataset, config.section("split"), tmp_path / "valid", tmp_path / "splits")
    assert sum(metrics.values()) == ingested["rows_kept"]
    made = Split.open(tmp_path / "splits")
    targets = made.targets("test", [name for name, event in config.dataset.events.items() if event.is_target])
    # Enough for the gate's minimum.
    assert len(set(targets["user_id"].to_pylist())) > 100
    assert {encoder.name for encoder in made.features.items} == {"shelf", "series", "euro"}
    assert made.features.users == ()


def test_leave_last_out_is_a_matter_of_configuration(tmp_path: Path) -> None:
    config = load_config(BOOKSHOP / "bookshop.yaml", ["split.protocol=leave_last_out"])
    dataset = config.section("dataset")
    ingest(dataset, tmp_path / "dataset", tmp_path / "cache")
    metrics = split(dataset, config.section("split"), tmp_path / "dataset", tmp_path / "splits")
    test = Split.open(tmp_path / "splits").part("test")["user_id"].to_pylist()
    assert len(test) == len(set(test)) == metrics["rows_test"] == metrics["rows_valid"] > 300
