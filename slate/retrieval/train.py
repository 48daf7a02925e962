"""Training: epochs, early stopping on validation NDCG@10, and checkpoints a killed run resumes from."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from slate.config import RetrievalConfig
from slate.data.catalogue import Catalogue
from slate.data.features import EncodedArray, FeatureSpace
from slate.errors import ModelError
from slate.retrieval.batches import Examples, Shape
from slate.retrieval.training_data import TrainingData
from slate.retrieval.two_tower import MEAN_LOSS, TwoTower
from slate.retrieval.validation import RankedTargets

_WARM_UP_EPOCHS = 1.0
_FINAL_RATE = 0.01


@dataclass(frozen=True)
class Epoch:
    """What one epoch did. ``epoch`` counts from 1; ``seconds`` are of training and validation."""

    epoch: int
    loss: float
    valid_ndcg_10: float
    valid_hit_rate_10: float
    valid_hit_rate_100: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class Trained:
    """A trained model with its best weights, and how it came about."""

    model: TwoTower
    epochs: tuple[Epoch, ...]
    best_epoch: int
    resumed_after: int


class WarmUpCosine(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise to ``peak``, then half a cosine down (Loshchilov and Hutter, 2017)."""

    def __init__(self, peak: float, warm_up: float, total: float) -> None:
        super().__init__()
        self._peak, self._warm_up, self._total = peak, max(warm_up, 1.0), max(total, warm_up + 1.0)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        rise = (step + 1.0) / self._warm_up
        done = tf.clip_by_value((step - self._warm_up) / (self._total - self._warm_up), 0.0, 1.0)
        fall = _FINAL_RATE + (1.0 - _FINAL_RATE) * 0.5 * (1.0 + tf.cos(np.pi * done))
        return self._peak * tf.minimum(rise, fall)

    def get_config(self) -> dict[str, float]:
        return {"peak": self._peak, "warm_up": self._warm_up, "total": self._total}


def checkpoint_key(config: RetrievalConfig, fingerprint: str, start: str = "") -> str:
    """Where a training's checkpoints lie: its configuration, seed included, its data, and its start."""
    told = [config.model_dump(mode="json"), fingerprint, *([start] if start else [])]
    text = json.dumps(told, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def batch_shape(config: RetrievalConfig) -> Shape:
    """The fixed sizes of a training batch; slots for queries and targets follow the window sizes."""
    entries = config.batch_size * config.history
    slots = max(1, round(entries * config.slots))
    return Shape(config.batch_size, config.history, slots, 2 * slots)


class Trainer:
    """Trains one model on one log.

    ``checkpoints`` is the folder of this training's checkpoints (see :func:`checkpoint_key`), or
    None for none. ``start`` sets the weights that the built model begins with.

    Raises:
        ModelError: there is nothing to learn from, or the training diverged.
    """

    def __init__(
        self,
        config: RetrievalConfig,
        features: FeatureSpace,
        catalogue: Catalogue,
        examples: Examples,
        valid: RankedTargets,
        checkpoints: Path | None = None,
        start: Callable[[TwoTower], None] | None = None,
    ) -> None:
        if not len(examples.targets):
            raise ModelError(
                "two-tower: the training slice has no interaction with a target event; give an event a "
                "positive weight or target: true, or move split.valid_fraction and split.test_fraction"
            )
        tf.keras.utils.set_random_seed(config.seed)
        self._config, self._examples, self._valid = config, examples, valid
        self._shape, self._stride = batch_shape(config), max(1, round(config.history * config.stride))
        counts = np.bincount(examples.log.items[examples.targets], minlength=len(catalogue)).astype(np.int64)
        self.model = TwoTower(config, features, catalogue, self._shape, counts)
        steps = sum(1 for _ in examples.batches(self._shape, self._stride, [config.seed, 0]))
        self._schedule = WarmUpCosine(config.learning_rate, _WARM_UP_EPOCHS * steps, config.epochs * steps)
        self._optimizer = tf.keras.optimizers.Adam(
            self._schedule, beta_2=0.98, global_clipnorm=1.0, weight_decay=config.weight_decay or None
        )
        self.model.compile(optimizer=self._optimizer, jit_compile=config.jit)
        self._embed = tf.function(self.model.embed)
        self._inputs = valid.encode(features, config.history)
        self._build(start)
        self._checkpoints = checkpoints

    @classmethod
    def of(
        cls,
        config: RetrievalConfig,
        events: Sequence[str],
        data: TrainingData,
        checkpoints: Path | None = None,
    ) -> "Trainer":
        """The trainer of a splits folder, with ``events`` as targets and a folder for all checkpoints."""
        valid = data.targets("valid", events, config.validation_targets, config.seed)
        folder = None
        if checkpoints is not None:
            folder = checkpoints / checkpoint_key(config, data.split.fingerprint)
        examples = Examples.of(data.split.train_log(), data.features, events, data.split.user_features)
        return cls(config, data.features, data.split.catalogue, examples, valid, folder)

    @property
    def targets(self) -> int:
        """How many targets an epoch learns from."""
        return len(self._examples.targets)

    @property
    def valid_targets(self) -> int:
        """How many targets validation looks at."""
        return len(self._valid)

    def run(self, on_epoch: Callable[[Epoch], None] | None = None) -> Trained:
        """Train to the end, from the last checkpoint if there is one, and print a line an epoch.

        ``on_epoch`` is told of every epoch as it ends; what it raises ends the training.
        """
        records = self._restore()
        resumed_after = len(records)
        if resumed_after:
            print(f"two-tower: resuming after epoch {resumed_after} of {self._config.epochs}", flush=True)
        while not self._finished(records):
            record = self._epoch(len(records) + 1)
            records.append(record)
            improved = self._best_epoch(records) == record.epoch
            if improved:
                for kept, variable in zip(self._best, self.model.trainable_variables, strict=True):
                    kept.assign(variable)
            self._save(records)
            mark = " *" if improved else ""
            print(
                f"two-tower: epoch {record.epoch}/{self._config.epochs} loss {record.loss:.4f} "
                f"NDCG@10 {record.valid_ndcg_10:.4f} {record.seconds:.1f} s{mark}",
                flush=True,
            )
            if on_epoch is not None:
                on_epoch(record)
        for kept, variable in zip(self._best, self.model.trainable_variables, strict=True):
            variable.assign(kept)
        return Trained(self.model, tuple(records), self._best_epoch(records), resumed_after)

    def embed_valid(self, table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The validation queries' vectors, float32 [n, dim]."""
        return embed_chunks(self._embed, self._inputs, table, self._config.dim)

    def user_ndcg_10(self) -> npt.NDArray[np.float64]:
        """Validation NDCG@10 of each user, float64 [users], with the model as it is now."""
        table = self.model.candidate_embeddings()
        return self._valid.user_means(self._valid.gains(self._valid.ranks(self.embed_valid(table), table)))

    def discard_checkpoints(self) -> None:
        """Remove this training's checkpoints, once its results are safe."""
        if self._checkpoints is not None:
            shutil.rmtree(self._checkpoints, ignore_errors=True)

    def _finished(self, records: Sequence[Epoch]) -> bool:
        if len(records) >= self._config.epochs:
            return True
        return bool(len(self._valid)) and len(records) - self._best_epoch(records) >= self._config.patience

    def _epoch(self, number: int) -> Epoch:
        started = time.monotonic()
        stream = self._examples.dataset(self._shape, self._stride, [self._config.seed, number])
        loss = float(self.model.fit(stream, epochs=1, verbose=0).history[MEAN_LOSS][-1])
        if not np.isfinite(loss):
            raise ModelError(
                f"two-tower: the loss became {loss} in epoch {number}; lower retrieval.learning_rate "
                f"(now {self._config.learning_rate})"
            )
        ndcg = hit_10 = hit_100 = 0.0
        if len(self._valid):
            table = self.model.candidate_embeddings()
            ranks = self._valid.ranks(self.embed_valid(table), table)
            ndcg = self._valid.ndcg(ranks)
            hit_10, hit_100 = (
                self._valid.mean_over_users((ranks <= k).astype(np.float64)) for k in (10, 100)
            )
        rate = float(self._schedule(self._optimizer.iterations))
        return Epoch(number, loss, ndcg, hit_10, hit_100, rate, time.monotonic() - started)

    def _best_epoch(self, records: Sequence[Epoch]) -> int:
        """The first epoch with the highest NDCG@10; the last one where there is no validation."""
        if not len(self._valid):
            return len(records)
        return max(records, key=lambda r: (r.valid_ndcg_10, -r.epoch)).epoch if records else 0

    def _build(self, start: Callable[[TwoTower], None] | None) -> None:
        """Make every variable, so that a checkpoint can be restored before the first step."""
        batch = next(iter(self._examples.dataset(self._shape, self._stride, [self._config.seed, 0])))
        self.model.compute_loss(batch, training=False)
        if start is not None:
            start(self.model)
        variables = self.model.trainable_variables
        self._optimizer.build(variables)
        self._best = [tf.Variable(variable, trainable=False) for variable in variables]
        self._progress = tf.Variable("[]", dtype=tf.string, trainable=False)

    def _manager(self) -> tf.train.CheckpointManager:
        checkpoint = tf.train.Checkpoint(
            model=self.model, optimizer=self._optimizer, best=self._best, progress=self._progress
        )
        return tf.train.CheckpointManager(checkpoint, str(self._checkpoints), max_to_keep=2)

    def _restore(self) -> list[Epoch]:
        if self._checkpoints is None:
            return []
        manager = self._manager()
        if manager.latest_checkpoint is None:
            return []
        try:
            manager.checkpoint.restore(manager.latest_checkpoint).assert_consumed()
        except (tf.errors.OpError, AssertionError, ValueError) as error:
            raise ModelError(
                f"checkpoint {manager.latest_checkpoint}: does not fit this model; delete the folder "
                f"{self._checkpoints} to train from the start"
            ) from error
        return [Epoch(**record) for record in json.loads(self._progress.numpy().decode())]

    def _save(self, records: Sequence[Epoch]) -> None:
        if self._checkpoints is None:
            return
        self._progress.assign(json.dumps([asdict(record) for record in records]))
        self._manager().save(checkpoint_number=len(records))


def embed_chunks(
    embed: Any,
    chunks: Sequence[Mapping[str, EncodedArray]],
    table: npt.NDArray[np.float32],
    dim: int,
) -> npt.NDArray[np.float32]:
    """Run a query tower over encoded chunks and put the vectors together, float32 [n, dim]."""
    vectors = [
        embed({name: tf.constant(array) for name, array in chunk.items()}, tf.constant(table)).numpy()
        for chunk in chunks
    ]
    return np.concatenate(vectors) if vectors else np.empty((0, dim), np.float32)
