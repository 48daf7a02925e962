"""Pipeline step: train the ranking model on what the tower has not seen, measure and export it."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from slate import columns
from slate.config import DatasetConfig, IncrementalConfig, RankingConfig, RetrievalConfig, parse_section
from slate.data.features import FeatureSpace
from slate.data.holdout import Split
from slate.errors import DataError, ModelError
from slate.retrieval.index import open_index
from slate.retrieval.query import HISTORY_ITEMS, QueryEncoder, encode_queries
from slate.steps.garbage import collecting_rarely
from slate.steps.graphs import as_traced
from slate.steps.parent import Parent

if TYPE_CHECKING:
    from slate.ranking.train import Epoch

MODEL: Final = "model"
_PARITY_ROWS: Final = 256


@collecting_rarely()
def train_ranker(
    ranking: Mapping[str, Any],
    dataset_config: Mapping[str, Any],
    splits: Path,
    two_tower: Path,
    index: Path,
    out: Path,
    on_epoch: "Callable[[Epoch], None] | None" = None,
    *,
    incremental: Mapping[str, Any] | None = None,
    parent: Path | None = None,
) -> dict[str, float]:
    """Write the **ranker** folder; see ``docs/artefacts.md``. Returns its headline metrics.

    With a **parent** folder the training starts from its weights and follows the section ``incremental``.
    ``on_epoch`` is told of every epoch as it ends.

    Raises:
        ConfigError: a configuration section is impossible, or makes another ranker than the parent's.
        DataError: the validation slice holds no usable row, or overlaps the tower's training.
        ModelError: the tower, the index and the splits do not fit, or training diverged.
    """
    from slate.ranking.assess import Assessor
    from slate.ranking.explain.explain import explain
    from slate.ranking.model import Items
    from slate.ranking.occasions import divide, gather, retrieve
    from slate.ranking.sampling import Sampler
    from slate.ranking.served import ServedRanker
    from slate.ranking.start import save_ranker
    from slate.ranking.train import Trainer

    started = time.monotonic()
    config = parse_section(RankingConfig, ranking)
    events = parse_section(DatasetConfig, dataset_config).events
    split, out = Split.open(splits), Path(out)
    features, catalogue = split.features, split.catalogue
    embeddings = _embeddings(two_tower, len(catalogue))
    occasions = gather(split, config.max_queries, config.seed)
    if not len(occasions):
        raise DataError(
            f"ranker: none of the validation rows is usable ({occasions.repeats} repeat an item that their "
            "user already had); lengthen the slice with split.valid_fraction"
        )
    encoder = QueryEncoder.open(two_tower / "query_tower", features, _history_length(two_tower))
    pools = retrieve(occasions, encoder, open_index(index), embeddings, config.candidates)
    encoded = encode_queries(occasions.queries, features, config.history)
    sampler = Sampler(occasions, pools, embeddings, config)
    parts = divide(occasions, split.protocol)
    items = Items(catalogue.encode(features), catalogue.train_counts, embeddings)
    train_events, train_values = _known_from_training(split, features)
    start = None
    if parent is not None:
        start = Parent.open(parent).ranker(config, catalogue)
        recipe = parse_section(IncrementalConfig, incremental or {})
        config = config.model_copy(
            update={"epochs": recipe.ranking_epochs, "learning_rate": recipe.ranking_learning_rate}
        )
    trainer = Trainer(
        config, features, items, occasions, encoded, sampler, parts, train_events, train_values, start
    )
    with as_traced(parent is not None):
        trained = trainer.run(on_epoch)
    described = [events[name] for name in features.events]
    served = ServedRanker(trained.model, config, described, encoded)
    out.mkdir(parents=True, exist_ok=True)
    served.save(out / MODEL)
    save_ranker(trained.model, trained.value_mean, out / columns.WEIGHTS_FILE)
    assessor = Assessor(trained.model, served, occasions, pools, encoded, sampler, config.seed)
    np.savez(out / columns.PARITY_FILE, allow_pickle=False, **assessor.parity_sample(_PARITY_ROWS))
    weights = np.asarray([event.weight for event in described], np.float32)
    measured = assessor.metrics(parts, features.events, weights)
    (out / columns.METRICS_FILE).write_text(json.dumps(measured, indent=1), encoding="utf-8")
    if config.explanations:
        explained = explain(
            config,
            trained.model,
            served,
            items,
            features,
            occasions,
            pools,
            encoded,
            assessor,
            parts.report,
        )
        (out / columns.EXPLANATIONS_FILE).write_text(explained.to_json(), encoding="utf-8")
    seconds = time.monotonic() - started
    record = {
        "model": config.model,
        "epochs": [asdict(epoch) for epoch in trained.epochs],
        "best_epoch": trained.best_epoch,
        "parameters": int(sum(np.prod(w.shape) for w in trained.model.trainable_weights)),
        "seed": config.seed,
        "rows": {
            "queries": len(occasions),
            "fit": len(parts.fit),
            "stop": len(parts.stop),
            "report": len(parts.report),
            "not_sampled": occasions.not_sampled,
            "repeats_left_out": occasions.repeats,
        },
        "positives": len(occasions.items),
        "negatives": len(occasions.items) * config.negatives,
        "positives_by_event": dict(zip(features.events, occasions.events.sum(axis=0).tolist(), strict=True)),
        "scale": trained.model.scale._asdict(),
        "value_mean": trained.value_mean,
        "notes": list(trained.notes),
        "parent": Parent.open(parent).release_id if parent is not None else None,
        "split_fingerprint": split.fingerprint,
        "seconds": seconds,
    }
    (out / columns.TRAINING_FILE).write_text(json.dumps(record, indent=1), encoding="utf-8")
    return _headline(measured) | {
        "ranker_best_epoch": float(trained.best_epoch),
        "ranker_seconds": seconds,
    }


def _embeddings(two_tower: Path, items: int) -> npt.NDArray[np.float32]:
    path = two_tower / columns.EMBEDDINGS_FILE
    try:
        embeddings: npt.NDArray[np.float32] = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: there is no such file; run the train_two_tower step first") from error
    if len(embeddings) != items:
        raise ModelError(
            f"{path}: {len(embeddings)} embeddings for a catalogue of {items} items; "
            "use the two_tower folder that was trained on these splits"
        )
    return embeddings


def _history_length(two_tower: Path) -> int:
    """The longest history the tower was trained with, which is what serving gives it."""
    path = two_tower / columns.PARITY_FILE
    if not path.exists():
        return RetrievalConfig().history
    with np.load(path, allow_pickle=False) as recorded:
        return int(recorded[HISTORY_ITEMS].shape[1])


def _known_from_training(
    split: Split, features: FeatureSpace
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """How often each event occurs in the tower's training slice, and the values given there."""
    train = split.part("train")
    names = train[columns.EVENT].to_pylist()
    counts = np.asarray([names.count(event) for event in features.events], np.int64)
    values = train[columns.VALUE].cast(pa.float32()).to_numpy(zero_copy_only=False)
    return counts, values


def _headline(measured: Mapping[str, Any]) -> dict[str, float]:
    """Plain numbers for the metrics view, those that are defined."""
    interaction = measured["interaction"]
    flat = {
        **{f"ranker_{name}": measured[name] for name in ("ndcg", "retrieval_ndcg", "weighted_ndcg")},
        **{f"ranker_{name}": interaction[name] for name in ("auc", "log_loss", "calibration_error")},
        **{f"ranker_auc_{event}": found["auc"] for event, found in measured["events"].items()},
    }
    if measured["value"]:
        flat |= {f"ranker_value_{name}": measured["value"][name] for name in ("rmse", "mae")}
    return {name: float(number) for name, number in flat.items() if number is not None}
