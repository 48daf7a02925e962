"""Fit the ranking model: loss, epochs, early stopping, and what it falls back to on too little data."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from slate.config import RankingConfig
from slate.data.features import EncodedArray, FeatureSpace
from slate.errors import ModelError
from slate.ranking.model import Items, Outputs, RankingModel, Scale
from slate.ranking.occasions import Occasions, Parts, positives_of
from slate.ranking.sampling import Sampler, Samples
from slate.ranking.scorer import CANDIDATES, RANKS, RETRIEVAL_SCORES
from slate.ranking.start import Start
from slate.retrieval.adam import Adam

_log = logging.getLogger(__name__)

Float32 = npt.NDArray[np.float32]
Batch = Mapping[str, tf.Tensor]

#: Fewer positives to fit or to stop on than these, and the model stays what it is before training.
FEWEST_TO_FIT: Final = 20
FEWEST_TO_STOP: Final = 5
_LEARNING_RATES: Final = {"multitask": 0.0005, "logistic": 0.02}
_CLIP: Final = 5.0
_PRESENT, _WEIGHTS, _OFFSETS = "present", "weights", "offsets"
_EVENTS, _VALUES, _HAS_VALUE, _REAL = "event_labels", "values", "has_value", "real"


@dataclass(frozen=True)
class Epoch:
    """Losses of one pass; ``valid_loss`` is on the requests kept for stopping."""

    epoch: int
    loss: float
    valid_loss: float
    seconds: float


@dataclass(frozen=True)
class Trained:
    """The model at its best epoch (0 is before training), and what to know of it.

    ``value_mean`` is what a positive of weight 1 is worth; 0 where values are no weights.
    """

    model: RankingModel
    epochs: tuple[Epoch, ...]
    best_epoch: int
    notes: tuple[str, ...]
    value_mean: float


class Losses(NamedTuple):
    """Sums over a batch, and what to divide them by."""

    interaction: tf.Tensor
    interaction_weight: tf.Tensor
    events: tf.Tensor
    groups: tf.Tensor
    value: tf.Tensor
    values: tf.Tensor


class Trainer:
    """One training of one model on occasions, their encoded queries, and sampled negatives.

    ``train_events`` int64 [events] counts each event in the tower's training slice: what is known of an
    event that the occasions lack.
    """

    def __init__(
        self,
        config: RankingConfig,
        features: FeatureSpace,
        items: Items,
        occasions: Occasions,
        encoded: Mapping[str, EncodedArray],
        sampler: Sampler,
        parts: Parts,
        train_events: npt.NDArray[np.int64],
        train_values: Float32,
        start: Start | None = None,
    ) -> None:
        self._start = start
        self._config, self._occasions, self._encoded = config, occasions, encoded
        self._sampler, self._parts = sampler, parts
        self.notes: list[str] = []
        tf.keras.utils.set_random_seed(config.seed)
        fit = sampler.draw(np.random.default_rng(config.seed + 1), parts.fit)
        positives = positives_of(occasions, parts.fit)
        labels = occasions.events[positives]
        priors, trained = self._event_priors(features.events, labels, train_events)
        self._trained_events = trained.astype(np.float32)
        values = occasions.values[positives]
        self._scale = self._scales(fit, values[np.isfinite(values)], train_values)
        self._weight_mean = self._mean_weight(values)
        interaction = self._interaction_prior(fit)
        trained = np.append(trained, np.isfinite(values).any())
        if start is not None:
            # What the parent learnt of an event holds also where there is nothing new of it.
            self._scale = start.widened(self._scale)
            self._weight_mean = start.value_mean or self._weight_mean
            interaction = float(start.priors[0])
            priors = np.where(trained[:-1] & ~start.trained[:-1], priors, start.priors[1:-1])
            trained = trained | start.trained
        self.model = RankingModel(config, features, items, self._scale, interaction, priors, trained)
        self._stop = sampler.draw(np.random.default_rng(config.seed + 2), parts.stop)
        self._enough = len(fit) >= FEWEST_TO_FIT and len(self._stop) >= FEWEST_TO_STOP
        self._enough = self._enough and bool(fit.present[:, 1:].any())
        if not self._enough:
            self._note(
                f"{len(fit)} positives to fit on and {len(self._stop)} to stop on, with "
                f"{int(fit.present[:, 1:].sum())} negatives, are too few to learn from (at least "
                f"{FEWEST_TO_FIT} and {FEWEST_TO_STOP}): {self._too_few}"
            )

    def run(self, on_epoch: Callable[[Epoch], None] | None = None) -> Trained:
        """Train until the stopping loss has not improved for ``patience`` epochs.

        ``on_epoch`` is told of every epoch as it ends; what it raises ends the training.

        Raises:
            ModelError: the loss became NaN or infinite.
        """
        self._batch_groups = max(1, self._config.batch_size // (1 + self._config.negatives))
        rate = self._config.learning_rate or _LEARNING_RATES[self._config.model]
        self._optimizer = Adam(rate, clipnorm=_CLIP)
        self._step = tf.function(self._train_step, autograph=False)
        self._measure = tf.function(self._measure_step, autograph=False)
        self._build()
        epochs: list[Epoch] = []
        best, best_epoch = self.model.get_weights(), 0
        if not self._enough:
            return Trained(self.model, (), 0, tuple(self.notes), self._weight_mean)
        lowest = self._evaluate(self._stop)
        for number in range(1, self._config.epochs + 1):
            started = time.monotonic()
            loss = self._epoch(number)
            valid = self._evaluate(self._stop)
            epochs.append(Epoch(number, loss, valid, time.monotonic() - started))
            _log.info("ranker: epoch %d, loss %.4f, valid loss %.4f", number, loss, valid)
            if not np.isfinite([loss, valid]).all():
                raise ModelError(
                    f"ranker: the loss of epoch {number} is {loss} (valid {valid}); "
                    "lower ranking.learning_rate"
                )
            if valid < lowest:
                lowest, best, best_epoch = valid, self.model.get_weights(), number
            if on_epoch is not None:
                on_epoch(epochs[-1])
            if number - best_epoch >= self._config.patience:
                break
        self.model.set_weights(best)
        if best_epoch == 0:
            self._note(f"no epoch improved on the start: {self._unchanged}")
        return Trained(self.model, tuple(epochs), best_epoch, tuple(self.notes), self._weight_mean)

    def _build(self) -> None:
        """Make all weights exist, also when nothing is trained."""
        empty = {name: tf.zeros([1, *array.shape[1:]], array.dtype) for name, array in self._encoded.items()}
        empty |= {CANDIDATES: tf.ones([1, 1], tf.int32)}
        empty |= {name: tf.zeros([1, 1]) for name in (RETRIEVAL_SCORES, RANKS)}
        self.model(empty)
        if self._start is not None:
            self._start.apply(self.model)
        # Variables that the first step had to make would have it traced twice.
        self._optimizer.build(self.model.trainable_variables)

    @property
    def _unchanged(self) -> str:
        """What the order is where nothing was learnt."""
        return "the order is retrieval's" if self._start is None else "the order is the parent's"

    @property
    def _too_few(self) -> str:
        return self._unchanged + (", with constant event rates" if self._start is None else "")

    def _epoch(self, number: int) -> float:
        samples = self._sampler.draw(np.random.default_rng([self._config.seed, number]), self._parts.fit)
        order = np.random.default_rng([self._config.seed, number, 1]).permutation(len(samples))
        losses = []
        for start in range(0, len(order), self._batch_groups):
            batch = self._batch(samples, order[start : start + self._batch_groups])
            seed = tf.constant([self._config.seed * 1_009 + number, start], tf.int32)
            losses.append(self._step(batch, seed))
        return float(np.mean([float(loss) for loss in losses]))

    def _evaluate(self, samples: Samples) -> float:
        totals = np.zeros(6)
        for start in range(0, len(samples), self._batch_groups):
            places = np.arange(start, min(start + self._batch_groups, len(samples)))
            totals += np.asarray([np.sum(t.numpy()) for t in self._measure(self._batch(samples, places))])
        return float(_combine(Losses(*totals)))

    def _train_step(self, batch: Batch, seed: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = _combine(self._losses(batch, seed))
        variables = self.model.trainable_variables
        self._optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def _measure_step(self, batch: Batch) -> Losses:
        return self._losses(batch, None)

    def _losses(self, batch: Batch, seed: tf.Tensor | None) -> Losses:
        """Cross-entropies of the sampled rows and squared errors of the standardised value.

        Taking the log sampling rate off the logit makes the model's own logit the corrected one.
        """
        outputs: Outputs = self.model(batch, seed=seed)
        labels = tf.concat(
            [tf.ones_like(outputs.interaction[:, :1]), tf.zeros_like(outputs.interaction[:, 1:])], axis=1
        )
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels, outputs.interaction - batch[_OFFSETS])
        weights = batch[_WEIGHTS]
        events = tf.nn.sigmoid_cross_entropy_with_logits(batch[_EVENTS], outputs.events[:, 0])
        has_value = batch[_HAS_VALUE]
        value = tf.square(outputs.value[:, 0] - batch[_VALUES]) * has_value
        return Losses(
            tf.reduce_sum(entropy * weights),
            tf.reduce_sum(batch[_PRESENT]),
            tf.reduce_sum(events * self._trained_events * batch[_REAL][:, tf.newaxis]),
            tf.reduce_sum(batch[_REAL]),
            tf.reduce_sum(value),
            tf.reduce_sum(has_value),
        )

    def _batch(self, samples: Samples, places: npt.NDArray[np.int64]) -> Batch:
        """Groups as tensors of one fixed number of rows; those that fill up weigh nothing."""
        missing = self._batch_groups - len(places)
        real = np.concatenate([np.ones(len(places)), np.zeros(missing)]).astype(np.float32)
        places = np.concatenate([places, np.zeros(missing, np.int64)])
        query, positive = samples.query[places], samples.positive[places]
        present = samples.present[places] * real[:, np.newaxis]
        values = self._occasions.values[positive]
        has_value = np.isfinite(values)
        weights = present.copy()
        weights[:, 0] *= self._value_weights(values)
        arrays: dict[str, EncodedArray] = {name: array[query] for name, array in self._encoded.items()}
        arrays |= {
            CANDIDATES: samples.rows[places] + 1,
            RETRIEVAL_SCORES: samples.scores[places],
            RANKS: samples.ranks[places],
            _OFFSETS: np.log(samples.rates[places]),
            _PRESENT: present.astype(np.float32),
            _WEIGHTS: weights.astype(np.float32),
            _EVENTS: self._occasions.events[positive].astype(np.float32),
            _VALUES: np.where(
                has_value, (values - self._scale.value_mean) / self._scale.value_std, 0.0
            ).astype(np.float32),
            _HAS_VALUE: (has_value * real).astype(np.float32),
            _REAL: real,
        }
        return {name: tf.constant(array) for name, array in arrays.items()}

    def _value_weights(self, values: Float32) -> Float32:
        """Weights of positives: 1, or the value over its mean (Covington et al., 2016, section 4.2)."""
        if not self._config.weighted_by_value or not self._weight_mean:
            return np.ones(len(values), np.float32)
        known = np.where(np.isfinite(values), np.maximum(values, 0.0), self._weight_mean)
        return (known / self._weight_mean).astype(np.float32)

    def _mean_weight(self, values: Float32) -> float:
        """The mean value of the positives, or 0 where weighting by value is off or impossible."""
        if not self._config.weighted_by_value:
            return 0.0
        known = np.maximum(values[np.isfinite(values)], 0.0)
        if not len(known) or known.sum() == 0.0:
            self._note("weighted_by_value: no positive value was given, so every positive weighs 1")
            return 0.0
        return float(known.mean())

    def _event_priors(
        self, names: tuple[str, ...], labels: npt.NDArray[np.bool_], train_events: npt.NDArray[np.int64]
    ) -> tuple[Float32, npt.NDArray[np.bool_]]:
        """Log-odds of each event given an interaction, and which events there is something to learn of."""
        counts, rows = labels.sum(axis=0), len(labels)
        trained = (counts > 0) & (counts < rows)
        shares = (counts + 0.5) / (rows + 1.0)
        fallback = (train_events + 0.5) / (train_events.sum() + 1.0)
        for name, count, share in zip(names, counts, fallback, strict=True):
            if count == 0:
                self._note(
                    f"{name}: never occurs in the {rows} rows to fit on; its rate in the training slice, "
                    f"{share:.4f} of interactions, stands in"
                )
        shares = np.where(counts > 0, shares, fallback)
        # With a single event every interaction is one.
        shares = np.clip(shares, 1e-6, 1 - 1e-6)
        return np.log(shares / (1.0 - shares)).astype(np.float32), trained

    def _interaction_prior(self, samples: Samples) -> float:
        """Log-odds of an interaction among candidates: each sampled negative stands for 1 / rate."""
        if not len(samples) or not samples.present[:, 1:].any():
            return float(-np.log(max(self._sampler.candidates, 1)))
        stands_for = np.sum(samples.present[:, 1:] / samples.rates[:, 1:])
        return float(np.log(len(samples) / stands_for))

    def _scales(self, samples: Samples, values: Float32, train_values: Float32) -> Scale:
        scores, ranks = samples.scores[samples.present], np.log1p(samples.ranks[samples.present])
        if not len(values):
            self._note("value: no interaction to fit on has one, so the value head is a constant")
            values = train_values[np.isfinite(train_values)]
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
        return Scale(
            *_mean_and_std(scores),
            *_mean_and_std(ranks),
            *_mean_and_std(values),
            value_low=low,
            value_high=high,
        )

    def _note(self, text: str) -> None:
        _log.warning("ranker: %s", text)
        self.notes.append(text)


def _combine(losses: Losses) -> tf.Tensor:
    """Each task's mean; tasks count alike."""
    return (
        losses.interaction / _at_least_one(losses.interaction_weight)
        + losses.events / _at_least_one(losses.groups)
        + losses.value / _at_least_one(losses.values)
    )


def _at_least_one(total: tf.Tensor) -> tf.Tensor:
    return tf.maximum(tf.cast(total, tf.float32), 1.0) if isinstance(total, tf.Tensor) else max(total, 1.0)


def _mean_and_std(numbers: npt.NDArray[np.floating]) -> tuple[float, float]:
    if not len(numbers):
        return 0.0, 1.0
    std = float(numbers.std(dtype=np.float64))
    return float(numbers.mean(dtype=np.float64)), std if std > 1e-6 else 1.0
