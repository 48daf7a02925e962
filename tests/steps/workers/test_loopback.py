"""Real workers: processes that find each other over the loopback and train one model."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import slate  # noqa: F401  (sets the Keras version before TensorFlow is imported)

pytest.importorskip("tensorflow")

from slate.config import WorkersConfig
from slate.steps.train_on_workers import train_on_workers
from slate.steps.train_two_tower import train_two_tower
from slate.steps.workers.cluster import Cluster
from slate.steps.workers.exchange import SPLITS, TWO_TOWER, Exchange
from slate.steps.workers.job import Own, tfjob
from tests.retrieval.conftest import cycle_rows, save_splits
from tests.steps.workers.operator_double import IMAGE, NAMESPACE, Operator, serving

DATASET = {
    "interactions": {"path": "x", "columns": {"event": "event"}},
    "events": {"like": {}, "view": {}, "hide": {"weight": -1}},
}
#: Without dropout the parts of a batch add up to what one process computes of it.
PLAIN: dict[str, Any] = {
    "dim": 16,
    "blocks": 1,
    "heads": 2,
    "history": 8,
    "dropout": 0.0,
    "id_dropout": 0.0,
    "batch_size": 6,
    "slots": 1.0,
    "learning_rate": 0.002,
    "epochs": 2,
    "patience": 2,
}


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Walkers of 14 items, as in the tests of training."""
    rows = cycle_rows(users=28, items=14, length=9)
    walks = [rows[start : start + 9] for start in range(0, len(rows), 9)]
    parts = [[r for walk in walks for r in walk[part]] for part in (slice(7), slice(7, 8), slice(8, 9))]
    return save_splits(tmp_path_factory.mktemp("cycle"), *parts, items=14)


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with serving(Operator(tmp_path, runs=True)) as made:
        yield made


def test_two_workers_learn_what_one_process_learns(
    splits: Path, tmp_path: Path, operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    from kubernetes import client

    settings = client.Configuration()
    settings.host = operator.url
    cluster = Cluster(client.ApiClient(settings), NAMESPACE, "launcher-pod")
    made, place = tmp_path / "two_tower", tmp_path / "checkpoints"
    metrics = train_on_workers(
        {"count": 2}, PLAIN, DATASET, splits, made, str(place), cluster=cluster, every_s=0.2
    )
    said = capsys.readouterr().out
    assert "running (2 active)" in said
    assert "succeeded" in said
    logs = [operator.log(index).read_text() for index in range(2)]
    # The chief alone speaks and writes; what was exchanged, and its checkpoints, are gone.
    assert logs[0].count("two-tower: epoch") == 2, logs
    assert "two-tower" not in logs[1]
    assert [path for path in place.rglob("*") if path.is_file() and ".store" not in path.parts] == []
    assert json.loads((made / "training.json").read_text())["replicas"] == 2

    alone = train_two_tower(PLAIN, DATASET, splits, tmp_path / "alone", None)
    assert {path.name for path in made.iterdir()} == {path.name for path in (tmp_path / "alone").iterdir()}
    ours, theirs = (
        json.loads((folder / "training.json").read_text())["epochs"] for folder in (made, tmp_path / "alone")
    )
    # Same start, same batches, same sums: after five steps the same model, but for the order of additions.
    assert ours[0]["loss"] == pytest.approx(theirs[0]["loss"], rel=1e-3)
    assert ours[0]["valid_ndcg_10"] == pytest.approx(theirs[0]["valid_ndcg_10"], abs=0.02)
    # Alone, Keras counts one step too many at the end of each epoch, so later rates differ a little.
    assert ours[1]["loss"] == pytest.approx(theirs[1]["loss"], rel=0.05)
    assert metrics["valid_ndcg_10"] == pytest.approx(alone["valid_ndcg_10"], abs=0.05)


def asked(splits: Path, folder: Path, retrieval: dict[str, Any]) -> Exchange:
    exchange = Exchange(str(folder / "exchange"))
    exchange.put(SPLITS, splits)
    exchange.ask(
        {"retrieval": retrieval, "dataset_config": DATASET, "checkpoints": str(folder / "checkpoints")}
    )
    return exchange


def workers(exchange: Exchange, operator: Operator, count: int = 2) -> list[subprocess.Popen[str]]:
    """The pods of a TFJob, without a launcher."""
    job = tfjob("job", Own(IMAGE, "account"), WorkersConfig(count=count), exchange.address)
    operator.create(job)
    return operator.processes["job"]


def ended(operator: Operator) -> None:
    statuses = [process.wait(timeout=800) for process in operator.processes["job"]]
    logs = [operator.log(index).read_text() for index in range(len(statuses))]
    operator.delete("job")
    assert statuses == [0] * len(statuses), "\n".join(log[-3000:] for log in logs)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_with_dropout_and_sampled_negatives_the_quality_is_the_same(
    splits: Path, tmp_path: Path, operator: Operator
) -> None:
    usual = {**PLAIN, "dropout": 0.1, "id_dropout": 0.05, "loss": "sampled", "negatives": 8}
    usual |= {"epochs": 25, "patience": 25, "batch_size": 16, "learning_rate": 0.01}
    exchange = asked(splits, tmp_path, usual)
    workers(exchange, operator)
    alone = train_two_tower(usual, DATASET, splits, tmp_path / "alone", None)
    ended(operator)
    metrics = exchange.finished()
    assert metrics is not None
    assert alone["valid_ndcg_10"] > 0.9
    assert metrics["valid_ndcg_10"] == pytest.approx(alone["valid_ndcg_10"], abs=0.05)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_workers_that_died_go_on_from_the_chiefs_checkpoint(
    splits: Path, tmp_path: Path, operator: Operator
) -> None:
    exchange = asked(splits, tmp_path, {**PLAIN, "epochs": 15, "patience": 15})
    processes = workers(exchange, operator)
    while "epoch 3/15" not in operator.log(0).read_text():
        assert processes[0].poll() is None
        time.sleep(0.1)
    for process in processes:
        process.send_signal(signal.SIGKILL)
    operator.delete("job")
    workers(exchange, operator)
    ended(operator)
    record = json.loads((exchange.fetch(TWO_TOWER, tmp_path) / "training.json").read_text())
    assert record["resumed_after"] >= 3
    assert [each["epoch"] for each in record["epochs"]] == list(range(1, 16))
    # Whoever is started again when all is done has nothing to do.
    workers(exchange, operator)
    ended(operator)
