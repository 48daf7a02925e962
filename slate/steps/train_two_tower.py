"""The pipeline step that trains the two-tower model and exports it."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from slate import columns
from slate.config import DatasetConfig, RetrievalConfig, parse_section
from slate.retrieval.query import encode_queries
from slate.retrieval.training_data import TrainingData

_PARITY_ROWS = 256


def train_two_tower(
    retrieval: Mapping[str, Any],
    dataset_config: Mapping[str, Any],
    splits: str | Path,
    out: str | Path,
    checkpoints: str | Path | None = None,
) -> dict[str, float]:
    """Train on a **splits** folder and write a **two_tower** folder; see ``docs/artefacts.md``.

    ``checkpoints`` is a folder that outlives the run: a training killed there goes on from its last
    finished epoch when it is started again with the same configuration and data. Returns the
    validation metrics of the best epoch, how many epochs ran, and the seconds they took.

    Raises:
        ConfigError: a configuration section is impossible.
        DataError: ``splits`` lacks a file.
        ModelError: nothing to learn from, the training diverged, or a checkpoint does not fit.
    """
    from slate.retrieval.export import export
    from slate.retrieval.train import Trainer

    started = time.monotonic()
    config = parse_section(RetrievalConfig, retrieval)
    events = parse_section(DatasetConfig, dataset_config).target_events
    out = Path(out)
    data = TrainingData.open(splits)
    trainer = Trainer.of(config, events, data, Path(checkpoints) if checkpoints is not None else None)
    trained = trainer.run()
    out.mkdir(parents=True, exist_ok=True)
    sample = data.parity_queries(events, _PARITY_ROWS, config.seed)
    export(trained.model, encode_queries(sample, data.features, config.history), out)
    seconds = time.monotonic() - started
    best = trained.epochs[trained.best_epoch - 1]
    record = {
        "epochs": [asdict(epoch) for epoch in trained.epochs],
        "best_epoch": trained.best_epoch,
        "resumed_after": trained.resumed_after,
        "parameters": int(sum(np.prod(v.shape) for v in trained.model.trainable_variables)),
        "loss": "full" if trained.model.full_softmax else "sampled",
        "seed": config.seed,
        "valid_targets": trainer.valid_targets,
        "split_fingerprint": data.split.fingerprint,
        "seconds": seconds,
    }
    (out / columns.TRAINING_FILE).write_text(json.dumps(record, indent=1), encoding="utf-8")
    trainer.discard_checkpoints()
    return {
        "valid_ndcg_10": best.valid_ndcg_10,
        "valid_hit_rate_10": best.valid_hit_rate_10,
        "valid_hit_rate_100": best.valid_hit_rate_100,
        "loss": best.loss,
        "best_epoch": float(trained.best_epoch),
        "epochs": float(len(trained.epochs)),
        "seconds": seconds,
    }
