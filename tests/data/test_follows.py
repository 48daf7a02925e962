"""Who follows whom, from a raw table to the source that reads it."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from slate.config import DatasetConfig, SplitConfig, load_config
from slate.data.features import FeatureSpace
from slate.data.holdout import Split
from slate.data.ingest import ingest, source_fingerprint
from slate.data.splits import split as cut
from slate.errors import ConfigError, DataError
from slate.recommend.users import UserStore, write_users

EVENTS = """person,item,when
ann,a,2024-01-01
bob,b,2024-01-02
ann,b,2024-01-03
cy,a,2024-01-04
"""
FOLLOWS = """from,to
ann,bob
ann,author 9
bob,
ann,bob
,ann
nobody,ann
"""


def described(folder: Path, **more: Any) -> dict[str, Any]:
    (folder / "events.csv").write_text(EVENTS, encoding="utf-8")
    (folder / "follows.csv").write_text(FOLLOWS, encoding="utf-8")
    return {
        "interactions": {
            "path": "events.csv",
            "columns": {"user_id": "person", "item_id": "item", "timestamp": "when"},
        },
        "follows": {"path": "follows.csv", "columns": {"user_id": "from", "follows": "to"}},
        **more,
    }


def loaded(folder: Path, **more: Any) -> DatasetConfig:
    (folder / "data.yaml").write_text(json.dumps({"dataset": described(folder, **more)}), encoding="utf-8")
    return load_config(folder / "data.yaml").dataset


def test_each_user_has_the_list_of_whom_they_follow(tmp_path: Path) -> None:
    ingest(loaded(tmp_path), tmp_path / "out", tmp_path / "cache")
    users = pq.read_table(tmp_path / "out" / "users.parquet").to_pylist()
    assert {user["user_id"]: user["follows"] for user in users} == {
        "ann": ["author 9", "bob"],
        "bob": None,
        "cy": None,
    }


def test_a_changed_follow_table_is_a_changed_data_set(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    before = source_fingerprint(config, tmp_path)
    (tmp_path / "follows.csv").write_text(FOLLOWS + "cy,bob\n", encoding="utf-8")
    assert source_fingerprint(config, tmp_path) != before


def test_without_a_follow_table_nothing_changes(tmp_path: Path) -> None:
    ingest(loaded(tmp_path, follows=None), tmp_path / "out", tmp_path / "cache")
    assert pq.read_table(tmp_path / "out" / "users.parquet").column_names == ["user_id"]


def test_mistakes_are_named(tmp_path: Path) -> None:
    table = {"path": "follows.csv", "columns": {"user_id": "from", "follows": "whom"}}
    with pytest.raises(DataError, match=r"dataset\.follows.*'whom'"):
        ingest(loaded(tmp_path, follows=table), tmp_path / "out", tmp_path / "cache")
    with pytest.raises(ConfigError, match=r"follows\.features"):
        loaded(tmp_path, follows={"path": "follows.csv", "features": {"x": "numeric"}})
    users = {"path": "users.csv", "features": {"follows": "numeric"}}
    with pytest.raises(ConfigError, match=r"users\.features\.follows"):
        loaded(tmp_path, users=users)


def test_a_list_reaches_the_users_of_a_release_and_no_model(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    ingest(config, tmp_path / "data", tmp_path / "cache")
    protocol = SplitConfig(protocol="temporal", unseen_users=0.0, valid_fraction=0.25, test_fraction=0.25)
    cut(config, protocol, tmp_path / "data", tmp_path / "splits")
    assert "follows" in pq.read_table(tmp_path / "splits" / "users.parquet").column_names
    features = FeatureSpace.from_json((tmp_path / "splits" / "features.json").read_text(encoding="utf-8"))
    assert features.users == ()
    split = Split.open(tmp_path / "splits")
    path = tmp_path / "users" / "users.arrow"
    write_users(path, split.user_log(), split.users, 5)
    ann, bob = UserStore(path).record("ann"), UserStore(path).record("bob")
    assert ann is not None
    assert bob is not None
    assert (ann.features["follows"], bob.features["follows"]) == (["author 9", "bob"], None)
