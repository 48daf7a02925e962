"""The data of all trials is made once, and made anew when an input changes."""

from pathlib import Path
from typing import Any

import pytest

from slate import columns
from slate.config import load_config
from slate.errors import DataError
from slate.tuning.prepare import prepare
from slate.tuning.tune import study_name


def test_data_is_made_once_from_the_same_inputs(tiny: Any, tmp_path: Path) -> None:
    config = load_config(tiny.folders["raw"].parent / "tiny.yaml")
    first = prepare(config, "code 1", tmp_path / "cache", tmp_path)
    again = prepare(config, "code 1", tmp_path / "cache", tmp_path)
    assert (first.reused, again.reused) == (False, True)
    assert first.splits == again.splits
    other_code = prepare(config, "code 2", tmp_path / "cache", tmp_path)
    assert (other_code.reused, other_code.fingerprint) == (False, first.fingerprint)
    split = config.split.model_copy(update={"valid_fraction": 0.2})
    other_split = prepare(config.model_copy(update={"split": split}), "code 1", tmp_path / "cache", tmp_path)
    assert other_split.fingerprint != first.fingerprint
    assert len(list((tmp_path / "data").iterdir())) == 3
    # The whole split's fingerprint, though its test rows are not there.
    whole = tiny.folders["splits"] / columns.SPLIT_FILE
    assert first.fingerprint in whole.read_text(encoding="utf-8")


def test_data_that_cannot_be_read_leaves_nothing(tiny: Any, tmp_path: Path) -> None:
    path = tiny.folders["raw"].parent / "tiny.yaml"
    config = load_config(path, ["dataset.interactions.columns.item_id=nothing"])
    with pytest.raises(DataError, match="nothing"):
        prepare(config, "code", tmp_path / "cache", tmp_path)
    assert not list((tmp_path / "data").iterdir())


def test_a_search_is_named_by_what_its_trials_depend_on(tiny: Any, tmp_path: Path) -> None:
    path = tiny.folders["raw"].parent / "tiny.yaml"
    prepared = prepare(load_config(path), "code", tmp_path / "cache", tmp_path)

    def name(*overrides: str) -> str:
        return study_name(load_config(path, overrides), prepared)

    assert name("tuning.trials=99", "gate.min_users=3", "ranking.dim=4") == name()
    changes = ["tuning.seed=2", "tuning.sampler=random", "tuning.pruner=none", "retrieval.epochs=3"]
    changes += ["tuning.space={retrieval.dim: {choices: [8, 16]}}", "tuning.objective=ranking"]
    assert len({name(), *map(name, changes)}) == len(changes) + 1
    ranking = "tuning.objective=ranking"
    assert name(ranking, "ranking.dim=4") != name(ranking)
    assert name(ranking, "index.k=7") != name(ranking)
