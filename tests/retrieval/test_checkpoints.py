"""Checkpoints in a folder, and in a store that outlives the machine."""

from pathlib import Path

import pytest

import slate  # noqa: F401  (sets the Keras version before TensorFlow is imported)

pytest.importorskip("tensorflow")

from slate.config import RetrievalConfig
from slate.retrieval.checkpoints import Checkpoints
from slate.storage import LocalStore
from tests.retrieval.test_train import trainer


def written(folder: Path, number: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "checkpoint").write_text(f"latest is {number}")
    (folder / f"ckpt-{number}.index").write_text(str(number))


def test_another_machine_finds_the_newest(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    first = Checkpoints(tmp_path / "a", store, "key")
    for number in (1, 2, 10):
        written(first.folder, number)
        first.publish(number)
    assert store.list("") == ["key/000002.tar", "key/000010.tar"]
    second = Checkpoints(tmp_path / "b", store, "key")
    second.fetch()
    assert (second.folder / "checkpoint").read_text() == "latest is 10"
    assert {path.name for path in second.folder.iterdir()} == {
        "checkpoint", "ckpt-1.index", "ckpt-2.index", "ckpt-10.index",
    }  # fmt: skip
    # A training that was killed after its upload makes the same one again.
    second.publish(10)
    second.discard()
    assert store.list("") == []
    assert not second.folder.exists()


def test_what_this_machine_has_is_newer(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    written(tmp_path / "a", 1)
    Checkpoints(tmp_path / "a", store, "key").publish(1)
    written(tmp_path / "b", 2)
    again = Checkpoints(tmp_path / "b", store, "key")
    again.fetch()
    assert (again.folder / "checkpoint").read_text() == "latest is 2"


def test_trainings_do_not_meet(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    written(tmp_path / "a", 1)
    Checkpoints(tmp_path / "a", store, "one").publish(1)
    other = Checkpoints(tmp_path / "b", store, "another")
    other.fetch()
    assert not other.folder.exists()


@pytest.mark.slow
def test_a_training_goes_on_on_another_machine(
    cycle_splits: Path, config: RetrievalConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path / "store")
    stopped = trainer(cycle_splits, config, Checkpoints(tmp_path / "a", store, "key"))
    monkeypatch.setattr(stopped, "_finished", lambda records: len(records) >= 1)
    stopped.run()
    resumed = trainer(cycle_splits, config, Checkpoints(tmp_path / "b", store, "key"))
    assert resumed.run().resumed_after == 1
    resumed.discard_checkpoints()
    assert store.list("") == []
