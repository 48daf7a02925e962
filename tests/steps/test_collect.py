"""The events of the log reach a full training too, and a store without any changes nothing."""

import filecmp
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from slate import columns
from slate.cli.parameters import own_arguments
from slate.config import load_config
from slate.data.catalogue import Catalogue
from slate.steps.collect import collect
from slate.steps.split import split
from slate.steps.validate import validate
from tests.steps.test_incremental import NEW_ITEMS, new_events, write_log

#: While the tiny world's people watch; what they do in its last weeks is validation and holdout.
EARLY = datetime(2023, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize("named", [True, False])
def test_without_events_the_data_set_stays_byte_for_byte(tiny: Any, tmp_path: Path, named: bool) -> None:
    raw, out = tiny.folders["raw"], tmp_path / "out"
    found = collect(tiny.config["dataset"], tiny.store if named else "", raw, out)
    assert set(found.values()) == {0}
    names = sorted(path.name for path in raw.iterdir())
    assert sorted(path.name for path in out.iterdir()) == names
    assert filecmp.cmpfiles(raw, out, names, shallow=False) == (names, [], [])


def test_what_happened_online_is_learnt_in_full_training(tiny: Any, tmp_path: Path) -> None:
    events = new_events(EARLY)
    write_log(str(tmp_path / "store"), events)
    dataset = tiny.config["dataset"]
    found = collect(dataset, str(tmp_path / "store"), tiny.folders["raw"], tmp_path / "collected")
    assert found == {
        "events_read": len(events),
        "events_added": len(events),
        "new_items": len(NEW_ITEMS),
        "new_users": 150,
    }
    validate(dataset, tmp_path / "collected", tmp_path / "dataset", tmp_path / "validation.html")
    split(dataset, tiny.config["split"], tmp_path / "dataset", tmp_path / "splits")
    catalogue = Catalogue.open(tmp_path / "splits")
    rows = [catalogue.ids.row(item) for item in NEW_ITEMS]
    assert min(catalogue.train_counts[rows]) > 0
    users = pq.read_table(tmp_path / "splits" / columns.TRAIN_FILE)[columns.USER].to_pylist()
    assert any(user.startswith("newcomer") for user in users)


def test_a_run_names_the_log_only_where_there_is_one(tiny: Any, tmp_path: Path) -> None:
    path = tiny.folders["raw"].parent / "tiny.yaml"
    config, store = load_config(path), str(tmp_path / "store")
    none = {"log": "", "events_fingerprint": ""}
    assert own_arguments("training", config, store, "") == none
    write_log(store, new_events(EARLY)[:3])
    given = own_arguments("training", config, store, "")
    assert given["log"] == store
    assert given["events_fingerprint"]
    update = own_arguments("incremental", config, store, tiny.release_id)
    assert update == {**given, "incremental": config.section("incremental")}
    benchmark = load_config(path, ["split.protocol=leave_last_out"])
    assert own_arguments("training", benchmark, store, "") == none, "its figures are those of the data alone"
    assert own_arguments("training", config, store, "stable")["events_fingerprint"] == "scheduled"
