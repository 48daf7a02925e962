"""The pipeline step that has several pods of the cluster train the two-tower model."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slate import columns
from slate.config import DatasetConfig, RetrievalConfig, WorkersConfig, parse_section
from slate.errors import ClusterError, ConfigError
from slate.steps.workers.cluster import Cluster
from slate.steps.workers.exchange import SPLITS, TWO_TOWER, Exchange
from slate.steps.workers.job import tfjob
from slate.steps.workers.launch import run_job


def train_on_workers(
    workers: Mapping[str, Any],
    retrieval: Mapping[str, Any],
    dataset_config: Mapping[str, Any],
    splits: str | Path,
    out: str | Path,
    checkpoints: str | None,
    *,
    cluster: Cluster | None = None,
    every_s: float = 10.0,
) -> dict[str, float]:
    """As :func:`slate.steps.train_two_tower.train_two_tower`, by a TFJob beside this pod.

    ``checkpoints`` is an address that this pod and the workers reach, such as ``gs://bucket/prefix``; the
    splits and the result travel by it. ``cluster`` is that of this pod unless given.

    Raises:
        ClusterError: this runs in no cluster, or the job failed; the message has a worker's last words.
        ConfigError: a section is impossible, or ``checkpoints`` is no address that others reach.
        StorageError: the store cannot be read or written.
    """
    asked = parse_section(WorkersConfig, workers)
    config = parse_section(RetrievalConfig, retrieval)
    parse_section(DatasetConfig, dataset_config)
    if not checkpoints:
        raise ConfigError(
            "checkpoints: no address is named, and the workers need one; submit with "
            "--checkpoints gs://bucket/prefix"
        )
    if config.batch_size < asked.count:
        raise ConfigError(
            f"retrieval.batch_size {config.batch_size}: a batch is of all {asked.count} workers together; "
            "raise it, or lower workers.count"
        )
    cluster = cluster or Cluster.here()
    splits = Path(splits)
    work = {
        "retrieval": dict(retrieval),
        "dataset_config": dict(dataset_config),
        "checkpoints": f"{checkpoints.rstrip('/')}/towers",
    }
    name = f"slate-towers-{_key(work, splits)}"
    exchange = Exchange(f"{checkpoints.rstrip('/')}/exchange/{name}")
    if exchange.finished() is None:
        exchange.put(SPLITS, splits)
        exchange.ask(work)
        run_job(cluster, tfjob(name, cluster.own(), asked, exchange.address), every_s, _say)
    metrics = exchange.finished()
    if metrics is None:
        raise ClusterError(f"TFJob {name}: succeeded and left no result at {exchange.address}")
    with tempfile.TemporaryDirectory(prefix="slate-towers-") as scratch:
        made = exchange.fetch(TWO_TOWER, Path(scratch))
        shutil.copytree(made, out, dirs_exist_ok=True)
    exchange.clear()
    return metrics


def _key(work: Mapping[str, Any], splits: Path) -> str:
    """The same for the same training, so that what a killed launcher left is found."""
    split = (splits / columns.SPLIT_FILE).read_text(encoding="utf-8")
    told = json.dumps([work, json.loads(split)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _say(text: str) -> None:
    print(text, flush=True)
