import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import slate  # noqa: F401  (sets the Keras version before TensorFlow is imported)

tf = pytest.importorskip("tensorflow")

from slate.config import RetrievalConfig  # noqa: E402
from slate.errors import ModelError  # noqa: E402
from slate.retrieval.batches import Examples  # noqa: E402
from slate.retrieval.train import Trained, Trainer, WarmUpCosine, checkpoint_key  # noqa: E402
from slate.retrieval.training_data import TrainingData  # noqa: E402

TARGETS = ["like", "view"]


def trainer(splits: Path, config: RetrievalConfig, checkpoints: Path | None = None) -> Trainer:
    data = TrainingData.open(splits)
    examples = Examples.of(data.split.train_log(), data.features, TARGETS, data.split.user_features)
    valid = data.targets("valid", TARGETS, 100, 1)
    return Trainer(config, data.features, data.split.catalogue, examples, valid, checkpoints)


def vectors(trained: Trained, made: Trainer) -> tuple[np.ndarray, np.ndarray]:
    table = trained.model.candidate_embeddings()
    return table, made.embed_valid(table)


@pytest.mark.parametrize("loss", ["full", "sampled"])
def test_a_cycle_is_learnt(cycle_splits: Path, config: RetrievalConfig, loss: str) -> None:
    longer = config.model_copy(update={"epochs": 25, "patience": 25, "loss": loss, "negatives": 8})
    trained = trainer(cycle_splits, longer).run()
    best = trained.epochs[trained.best_epoch - 1]
    assert best.valid_ndcg_10 > 0.9
    assert best.valid_ndcg_10 == max(epoch.valid_ndcg_10 for epoch in trained.epochs)
    assert trained.epochs[-1].loss < trained.epochs[0].loss


@pytest.fixture(scope="module")
def finished(cycle_splits: Path, config: RetrievalConfig) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of an uninterrupted training."""
    made = trainer(cycle_splits, config)
    return vectors(made.run(), made)


def test_the_same_seed_gives_the_same_model(
    cycle_splits: Path, config: RetrievalConfig, finished: tuple[np.ndarray, np.ndarray]
) -> None:
    made = trainer(cycle_splits, config)
    for left, right in zip(vectors(made.run(), made), finished, strict=True):
        np.testing.assert_array_equal(left, right)


def test_another_seed_starts_elsewhere(cycle_splits: Path, config: RetrievalConfig) -> None:
    tables = [
        trainer(cycle_splits, config.model_copy(update={"seed": seed})).model.candidate_embeddings()
        for seed in (3, 3, 4)
    ]
    np.testing.assert_array_equal(tables[0], tables[1])
    assert np.abs(tables[0] - tables[2]).max() > 1e-3


def test_a_resumed_training_ends_as_if_never_stopped(
    cycle_splits: Path,
    config: RetrievalConfig,
    finished: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "checkpoints"
    interrupted = trainer(cycle_splits, config, folder)
    monkeypatch.setattr(interrupted, "_finished", lambda records: len(records) >= 2)
    interrupted.run()
    resumed = trainer(cycle_splits, config, folder)
    trained = resumed.run()
    assert trained.resumed_after == 2
    assert [e.epoch for e in trained.epochs] == [1, 2, 3]
    for left, right in zip(vectors(trained, resumed), finished, strict=True):
        np.testing.assert_array_equal(left, right)
    resumed.discard_checkpoints()
    assert not folder.exists()


def test_a_killed_training_goes_on_from_its_last_epoch(
    cycle_splits: Path, config: RetrievalConfig, tmp_path: Path
) -> None:
    settings = config.model_copy(update={"epochs": 4, "patience": 4}).model_dump(mode="json")
    script = (
        "import json, sys\n"
        "from slate.steps.train_two_tower import train_two_tower\n"
        "events = {'like': {}, 'view': {}, 'hide': {'weight': -1}}\n"
        "dataset = {'interactions': {'path': 'x', 'columns': {'event': 'event'}}, 'events': events}\n"
        "retrieval, splits, out, checkpoints = sys.argv[1:]\n"
        "train_two_tower(json.loads(retrieval), dataset, splits, out, checkpoints)\n"
    )
    out, checkpoints = tmp_path / "two_tower", tmp_path / "checkpoints"
    command = [
        sys.executable,
        "-c",
        script,
        json.dumps(settings),
        str(cycle_splits),
        str(out),
        str(checkpoints),
    ]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if line.startswith("two-tower: epoch 2/4"):
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL, seen
    assert not out.exists()
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=True)
    record = json.loads((out / "training.json").read_text())
    assert record["resumed_after"] >= 2
    assert f"resuming after epoch {record['resumed_after']} of 4" in answer.stdout
    assert [epoch["epoch"] for epoch in record["epochs"]] == [1, 2, 3, 4]
    assert list(checkpoints.iterdir()) == []


def test_a_checkpoint_of_another_model_is_refused(
    cycle_splits: Path, config: RetrievalConfig, tmp_path: Path
) -> None:
    trainer(cycle_splits, config, tmp_path / "c")._save([])
    with pytest.raises(ModelError, match="does not fit this model"):
        trainer(cycle_splits, config.model_copy(update={"dim": 8}), tmp_path / "c").run()


def test_checkpoints_belong_to_one_configuration_seed_and_data(config: RetrievalConfig) -> None:
    keys = {
        checkpoint_key(config, "a"),
        checkpoint_key(config, "b"),
        checkpoint_key(config.model_copy(update={"seed": 9}), "a"),
        checkpoint_key(config.model_copy(update={"dropout": 0.4}), "a"),
    }
    assert len(keys) == 4
    assert checkpoint_key(config, "a") in keys


def test_patience_ends_a_training_that_no_longer_improves(
    cycle_splits: Path, config: RetrievalConfig
) -> None:
    still = config.model_copy(update={"learning_rate": 1e-12, "epochs": 9, "patience": 1})
    trained = trainer(cycle_splits, still).run()
    assert len(trained.epochs) == trained.best_epoch + 1 < 9


def test_nothing_to_learn_from_is_an_error(
    write_splits: Callable[..., Path], config: RetrievalConfig
) -> None:
    rows = [("u1", "i01", "hide", 5)]
    with pytest.raises(ModelError, match="no interaction with a target event"):
        trainer(write_splits(rows, rows, rows, items=3), config)


def test_the_rate_rises_then_falls() -> None:
    schedule = WarmUpCosine(0.1, warm_up=10, total=110)
    rates = [float(schedule(tf.constant(step))) for step in (0, 4, 9, 60, 109)]
    np.testing.assert_allclose(rates[:3], [0.01, 0.05, 0.1], rtol=1e-5)
    assert rates[3] == pytest.approx(0.1 * (0.01 + 0.99 * 0.5), rel=1e-4)
    assert 0.001 <= rates[4] < 0.002
