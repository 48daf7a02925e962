"""The pipeline step that trains the two-tower model and exports it."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slate import columns
from slate.config import DatasetConfig, IncrementalConfig, RetrievalConfig, parse_section
from slate.retrieval.query import encode_queries
from slate.retrieval.training_data import TrainingData
from slate.steps.garbage import collecting_rarely
from slate.steps.graphs import as_traced
from slate.steps.parent import Parent

if TYPE_CHECKING:
    from slate.retrieval.team import Team

_PARITY_ROWS = 256


@collecting_rarely()
def train_two_tower(
    retrieval: Mapping[str, Any],
    dataset_config: Mapping[str, Any],
    splits: str | Path,
    out: str | Path,
    checkpoints: str | Path | None = None,
    *,
    incremental: Mapping[str, Any] | None = None,
    parent: Path | None = None,
    team: "Team | None" = None,
) -> dict[str, float]:
    """Train on a **splits** folder and write a **two_tower** folder; see ``docs/artefacts.md``.

    With a **parent** folder the training starts from its weights and follows the section ``incremental``.

    ``checkpoints`` is a folder, or an address such as ``gs://bucket/prefix``, that outlives the run: a
    training killed there goes on from its last finished epoch when it is started again with the same
    configuration and data. Returns the validation metrics of the best epoch, how many epochs ran, and the
    seconds they took.

    In a ``team`` this process is one of several that train together, each calling this with the same
    arguments and no parent. The chief alone writes; the others return no metrics.

    Raises:
        ConfigError: a configuration section is impossible, or makes other towers than the parent's.
        DataError: ``splits`` lacks a file.
        ModelError: nothing to learn from, the training diverged, or a checkpoint does not fit.
    """
    from slate.retrieval.export import export
    from slate.retrieval.team import ALONE
    from slate.retrieval.train import Trainer
    from slate.retrieval.update import updating
    from slate.retrieval.weights import save_weights

    started = time.monotonic()
    config = parse_section(RetrievalConfig, retrieval)
    events = parse_section(DatasetConfig, dataset_config).target_events
    out = Path(out)
    data = TrainingData.open(splits)
    team = team or ALONE
    if parent is None:
        trainer = Trainer.of(config, events, data, checkpoints, team)
    else:
        recipe = parse_section(IncrementalConfig, incremental or {})
        trainer = updating(config, recipe, events, data, Parent.open(parent).tower(), checkpoints)
    with as_traced(parent is not None):
        trained = trainer.run()
    if not team.chief:
        return {}
    out.mkdir(parents=True, exist_ok=True)
    sample = data.parity_queries(events, _PARITY_ROWS, config.seed)
    export(trained.model, encode_queries(sample, data.features, config.history), out)
    save_weights(trained.model, out / columns.WEIGHTS_FILE)
    seconds = time.monotonic() - started
    best = trained.epochs[trained.best_epoch - 1]
    record = {
        "epochs": [asdict(epoch) for epoch in trained.epochs],
        "best_epoch": trained.best_epoch,
        "resumed_after": trained.resumed_after,
        "parameters": int(sum(np.prod(v.shape) for v in trained.model.trainable_variables)),
        "loss": "full" if trained.model.full_softmax else "sampled",
        "seed": config.seed,
        "replicas": team.replicas,
        "valid_targets": trainer.valid_targets,
        "targets": trainer.targets,
        "parent": Parent.open(parent).release_id if parent is not None else None,
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
