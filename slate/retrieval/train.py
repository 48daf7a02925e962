"""Training: epochs, early stopping on validation NDCG@10, and checkpoints a killed run resumes from."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from slate.config import RetrievalConfig
from slate.data.catalogue import Catalogue
from slate.data.features import EncodedArray, FeatureSpace
from slate.errors import ModelError
from slate.retrieval.adam import Adam
from slate.retrieval.batches import Examples, Shape
from slate.retrieval.checkpoints import Checkpoints
from slate.retrieval.team import ALONE, Team
from slate.retrieval.training_data import TrainingData
from slate.retrieval.two_tower import MEAN_LOSS, TwoTower
from slate.retrieval.validation import RankedTargets
from slate.retrieval.weights import named_weights

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


def batch_shape(config: RetrievalConfig, parts: int = 1) -> Shape:
    """The fixed sizes of one of the ``parts`` of a training batch; slots follow the window sizes."""
    rows = -(-config.batch_size // parts)
    slots = max(1, round(rows * config.history * config.slots))
    return Shape(rows, config.history, slots, 2 * slots)


class Trainer:
    """Trains one model on one log.

    ``checkpoints`` are this training's own (see :func:`checkpoint_key`), or their folder, or None for
    none. ``start`` sets the weights that the built model begins with. Where there is a ``team``, every
    worker runs a trainer of its own, made of the same arguments; a batch is then of all of them together.

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
        checkpoints: Checkpoints | Path | None = None,
        start: Callable[[TwoTower], None] | None = None,
        team: Team = ALONE,
    ) -> None:
        if not len(examples.targets):
            raise ModelError(
                "two-tower: the training slice has no interaction with a target event; give an event a "
                "positive weight or target: true, or move split.valid_fraction and split.test_fraction"
            )
        tf.keras.utils.set_random_seed(config.seed)
        self._config, self._examples, self._valid, self._team = config, examples, valid, team
        self._shape, self._stride = (
            batch_shape(config, team.replicas),
            max(1, round(config.history * config.stride)),
        )
        counts = np.bincount(examples.log.items[examples.targets], minlength=len(catalogue)).astype(np.int64)
        self._parts = (config, features, catalogue, self._shape, counts)
        steps = self._batches(0)
        self._schedule = WarmUpCosine(config.learning_rate, _WARM_UP_EPOCHS * steps, config.epochs * steps)
        with team.scope():
            self.model = TwoTower(*self._parts)
            self._optimizer = Adam(
                self._schedule, beta_2=0.98, global_clipnorm=1.0, weight_decay=config.weight_decay or None
            )
            # XLA cannot compile what workers say to each other.
            self.model.compile(optimizer=self._optimizer, jit_compile=config.jit and team.alone)
            # Every worker's metrics are those of the whole batch already; Keras would add them up.
            self.model.distribute_reduction_method = "first"
        self._inputs = valid.encode(features, config.history)
        self._embed = tf.function(
            self.model.embed, input_signature=_signature(self._inputs, config.dim), autograph=False
        )
        self._build(start)
        self._checkpoints = Checkpoints(checkpoints) if isinstance(checkpoints, Path) else checkpoints

    @classmethod
    def of(
        cls,
        config: RetrievalConfig,
        events: Sequence[str],
        data: TrainingData,
        checkpoints: str | Path | None = None,
        team: Team = ALONE,
    ) -> "Trainer":
        """The trainer of a splits folder, with ``events`` as targets and a place for all checkpoints."""
        valid = data.targets("valid", events, config.validation_targets, config.seed)
        kept = None
        if checkpoints is not None:
            kept = Checkpoints.of(checkpoints, checkpoint_key(config, data.split.fingerprint))
        examples = Examples.of(data.split.train_log(), data.features, events, data.split.user_features)
        return cls(config, data.features, data.split.catalogue, examples, valid, kept, team=team)

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
            self._say(f"resuming after epoch {resumed_after} of {self._config.epochs}")
        while not self._finished(records):
            record = self._epoch(len(records) + 1)
            records.append(record)
            improved = self._best_epoch(records) == record.epoch
            if improved:
                for kept, variable in zip(self._best, self.model.trainable_variables, strict=True):
                    kept.assign(variable)
            self._save(records)
            mark = " *" if improved else ""
            self._say(
                f"epoch {record.epoch}/{self._config.epochs} loss {record.loss:.4f} "
                f"NDCG@10 {record.valid_ndcg_10:.4f} {record.seconds:.1f} s{mark}"
            )
            if on_epoch is not None:
                on_epoch(record)
        for kept, variable in zip(self._best, self.model.trainable_variables, strict=True):
            variable.assign(kept)
        return Trained(self._own_model(), tuple(records), self._best_epoch(records), resumed_after)

    def _say(self, text: str) -> None:
        if self._team.chief:
            print(f"two-tower: {text}", flush=True)

    def _own_model(self) -> TwoTower:
        """The model as the chief can save it without asking the others."""
        if self._team.alone or not self._team.chief:
            return self.model
        model = TwoTower(*self._parts)
        model.compile(optimizer=tf.keras.optimizers.Adam())
        model.loss_of(self._smallest_batch())
        trained = named_weights(self.model)
        for path, variable in named_weights(model).items():
            variable.assign(trained[path].numpy())
        return model

    def embed_valid(self, table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The validation queries' vectors, float32 [n, dim]."""
        return embed_chunks(self._embed, self._inputs, table, self._config.dim)

    def user_ndcg_10(self) -> npt.NDArray[np.float64]:
        """Validation NDCG@10 of each user, float64 [users], with the model as it is now."""
        table = self.model.candidate_embeddings()
        return self._valid.user_means(self._valid.gains(self._valid.ranks(self.embed_valid(table), table)))

    def discard_checkpoints(self) -> None:
        """Remove this training's checkpoints, once its results are safe."""
        if self._checkpoints is not None and self._team.chief:
            self._checkpoints.discard()

    def _finished(self, records: Sequence[Epoch]) -> bool:
        if len(records) >= self._config.epochs:
            return True
        return bool(len(self._valid)) and len(records) - self._best_epoch(records) >= self._config.patience

    def _batches(self, number: int) -> int:
        """How many batches an epoch has."""
        return self._examples.count(
            self._shape, self._stride, [self._config.seed, number], self._team.replicas
        )

    def _stream(self, number: int) -> tf.data.Dataset:
        return self._examples.dataset(
            self._shape, self._stride, [self._config.seed, number], self._team.share
        )

    def _epoch(self, number: int) -> Epoch:
        started = time.monotonic()
        # Alone, the stream's end is the epoch's.
        steps = None if self._team.alone else self._batches(number)
        stream = self._team.stream(lambda: self._stream(number))
        fitted = self.model.fit(stream, epochs=1, steps_per_epoch=steps, verbose=0)
        loss = float(fitted.history[MEAN_LOSS][-1])
        if not np.isfinite(loss):
            raise ModelError(
                f"two-tower: the loss became {loss} in epoch {number}; lower retrieval.learning_rate "
                f"(now {self._config.learning_rate})"
            )
        figures = self._validated() if self._team.chief else (0.0, 0.0, 0.0)
        rate = float(self._schedule(self._optimizer.iterations))
        record = Epoch(number, loss, *figures, rate, time.monotonic() - started)
        (told,) = self._team.chiefs([np.asarray(astuple(record), np.float64)])
        return _epoch_of(told)

    def _validated(self) -> tuple[float, float, float]:
        """NDCG@10, and hit rates at 10 and at 100; 0 where there is no validation."""
        if not len(self._valid):
            return 0.0, 0.0, 0.0
        table = self.model.candidate_embeddings()
        ranks = self._valid.ranks(self.embed_valid(table), table)
        hit_10, hit_100 = (self._valid.mean_over_users((ranks <= k).astype(np.float64)) for k in (10, 100))
        return self._valid.ndcg(ranks), hit_10, hit_100

    def _best_epoch(self, records: Sequence[Epoch]) -> int:
        """The first epoch with the highest NDCG@10; the last one where there is no validation."""
        if not len(self._valid):
            return len(records)
        return max(records, key=lambda r: (r.valid_ndcg_10, -r.epoch)).epoch if records else 0

    def _smallest_batch(self) -> Mapping[str, tf.Tensor]:
        """What a model makes its variables by."""
        batch = self._examples.blank(Shape(1, self._config.history, 1, 1))
        return {name: tf.constant(array) for name, array in batch.items()}

    def _build(self, start: Callable[[TwoTower], None] | None) -> None:
        """Make every variable, so that a checkpoint can be restored before the first step."""
        batch = self._smallest_batch()
        with self._team.scope():
            self.model.loss_of(batch)
            if start is not None:
                start(self.model)
            self._optimizer.build(self.model.trainable_variables)
        self._best = [tf.Variable(variable, trainable=False) for variable in self.model.trainable_variables]
        self._progress = tf.Variable("[]", dtype=tf.string, trainable=False)

    def _state(self) -> list[tf.Variable]:
        """All that training changes, in an order that every worker has."""
        return [*self.model.trainable_variables, *self._optimizer.variables, *self._best]

    def _manager(self, folder: Path) -> tf.train.CheckpointManager:
        # Saving a model's metrics would need every worker at once, and only the chief saves.
        what = (
            {"model": self.model, "optimizer": self._optimizer, "best": self._best}
            if self._team.alone
            else {"state": self._state()}
        )
        checkpoint = tf.train.Checkpoint(**what, progress=self._progress)
        return tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=2)

    def _restore(self) -> list[Epoch]:
        records = self._restored() if self._team.chief else []
        (count,) = self._team.chiefs([np.asarray([len(records)])])
        if not int(count[0]) or self._team.alone:
            return records
        rows = np.zeros((int(count[0]), len(fields(Epoch))))
        rows[: len(records)] = [astuple(record) for record in records] or rows[:0]
        state = self._state()
        told, *values = self._team.chiefs([rows, *(variable.numpy() for variable in state)])
        for variable, value in zip(state, values, strict=True):
            variable.assign(value)
        return [_epoch_of(row) for row in told]

    def _restored(self) -> list[Epoch]:
        if self._checkpoints is None:
            return []
        self._checkpoints.fetch()
        manager = self._manager(self._checkpoints.folder)
        if manager.latest_checkpoint is None:
            return []
        try:
            manager.checkpoint.restore(manager.latest_checkpoint).assert_consumed()
        except (tf.errors.OpError, AssertionError, ValueError) as error:
            raise ModelError(
                f"checkpoint {manager.latest_checkpoint}: does not fit this model; delete the folder "
                f"{self._checkpoints.folder} to train from the start"
            ) from error
        return [Epoch(**record) for record in json.loads(self._progress.numpy().decode())]

    def _save(self, records: Sequence[Epoch]) -> None:
        if self._checkpoints is None or not self._team.chief:
            return
        self._progress.assign(json.dumps([asdict(record) for record in records]))
        self._manager(self._checkpoints.folder).save(checkpoint_number=len(records))
        self._checkpoints.publish(len(records))


def _epoch_of(row: npt.NDArray[np.float64]) -> Epoch:
    number, *rest = row.tolist()
    return Epoch(int(number), *rest)


def _signature(chunks: Sequence[Mapping[str, EncodedArray]], dim: int) -> list[Any] | None:
    """Of :meth:`TwoTower.embed` over chunks of any size; None where there are none."""
    if not chunks:
        return None
    inputs = {name: tf.TensorSpec([None, *a.shape[1:]], a.dtype) for name, a in chunks[0].items()}
    return [inputs, tf.TensorSpec([None, dim], tf.float32)]


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
