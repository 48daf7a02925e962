"""The two-tower model: both towers and the loss that trains them."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_recommenders as tfrs

from slate.config import RetrievalConfig
from slate.data.catalogue import Catalogue
from slate.data.features import FeatureSpace
from slate.retrieval.batches import Shape
from slate.retrieval.query import (
    CONTEXT_PREFIX,
    HISTORY_AGES,
    HISTORY_EVENTS,
    HISTORY_ITEMS,
    USER_PREFIX,
)
from slate.retrieval.tasks import FullSoftmax, SampledSoftmax, Targets
from slate.retrieval.towers import CandidateTower, Lookup, QueryTower

MEAN_LOSS = "mean_loss"
_NEGATIVES_PLACE = 1_000
_REPLICA_PLACE = 1_000_003


class TwoTower(tfrs.Model):
    """A query tower and a candidate tower that share the item encoder.

    ``target_counts`` int64 [items] says how often each catalogue row is a target of training; the
    sampled loss corrects for it.
    """

    def __init__(
        self,
        config: RetrievalConfig,
        features: FeatureSpace,
        catalogue: Catalogue,
        shape: Shape,
        target_counts: npt.NDArray[np.int64],
    ) -> None:
        super().__init__(name="two_tower")
        self._config = config
        self.candidate_tower = CandidateTower(
            catalogue.encode(features),
            features.items,
            catalogue.train_counts,
            dim=config.dim,
            min_count=config.min_item_count,
            id_dropout=config.id_dropout,
        )
        self.query_tower = QueryTower(
            events=len(features.events),
            users=features.users,
            context=features.context,
            dim=config.dim,
            blocks=config.blocks,
            heads=config.heads,
            reach=config.history,
            dropout=config.dropout,
        )
        self._mean_loss = tf.keras.metrics.Mean(MEAN_LOSS)
        self._full = config.loss == "full" or (
            config.loss == "auto" and len(catalogue) <= config.full_softmax_limit
        )
        self._task = (
            FullSoftmax(name="full_softmax")
            if self._full
            else SampledSoftmax(target_counts, shape.targets, config.negatives)
        )

    @property
    def full_softmax(self) -> bool:
        """Whether the loss ranges over the whole catalogue."""
        return self._full

    @tf.autograph.experimental.do_not_convert
    def train_step(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step of ``fit``. AutoGraph would take seconds over it, and find no Python to rewrite."""
        result: dict[str, tf.Tensor] = super().train_step(inputs)
        return result

    def compute_loss(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The loss of one batch of :mod:`slate.retrieval.batches`.

        Of several replicas each has a part of the batch; their losses add up to the batch's.
        """
        loss, weight = self.loss_of(inputs, training), tf.reduce_sum(inputs["target_weights"])
        if not _replicated():
            self._mean_loss.update_state(loss, sample_weight=weight)
            return loss
        context = tf.distribute.get_replica_context()
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, weight)
        part = loss * weight / tf.maximum(total, 1.0)
        whole = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.stop_gradient(part))
        # Every replica measures the whole batch, so its metric is right by itself.
        self._mean_loss.update_state(whole, sample_weight=total)
        return part

    def loss_of(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The weighted mean over this replica's targets; negatives in the batch are of this replica too."""
        targets = Targets(inputs["target_query"], inputs["target_items"], inputs["target_weights"])
        seed = tf.stack([self._first_seed(), tf.cast(self.optimizer.iterations, tf.int32)])
        dropout_seed = seed if training else None
        if self._full:
            table = self.candidate_tower.table(dropout_seed)
            queries = self._queries(inputs, lambda rows: tf.gather(table, rows), dropout_seed)
            return self._task(queries, table, targets)

        def lookup(rows: tf.Tensor) -> tf.Tensor:
            return self.candidate_tower(rows, seed=dropout_seed)

        negatives = tf.random.stateless_uniform(
            [self._config.negatives],
            seed + tf.constant([_NEGATIVES_PLACE, 0]),
            0,
            self.candidate_tower.rows,
            tf.int32,
        )
        queries = self._queries(inputs, lookup, dropout_seed)
        candidates = lookup(tf.concat([targets.items, negatives], axis=0))
        return self._task(queries, candidates, negatives, targets)

    def _first_seed(self) -> int | tf.Tensor:
        """Replicas draw other negatives and drop other parts than each other."""
        first = self._config.seed * 1_009
        if not _replicated():
            return first
        return first + _REPLICA_PLACE * tf.distribute.get_replica_context().replica_id_in_sync_group

    def _queries(self, inputs: Mapping[str, tf.Tensor], lookup: Lookup, seed: tf.Tensor | None) -> tf.Tensor:
        states = self.query_tower.states(inputs[HISTORY_ITEMS], inputs[HISTORY_EVENTS], lookup, seed)
        rows = inputs["query_row"]
        chosen = tf.gather_nd(states, tf.stack([rows, inputs["query_column"]], axis=1))
        users = {name: tf.gather(value, rows) for name, value in _named(inputs, USER_PREFIX).items()}
        return self.query_tower.head(
            chosen, inputs["query_elapsed"], users, _named(inputs, CONTEXT_PREFIX), seed
        )

    def embed(self, inputs: Mapping[str, tf.Tensor], table: tf.Tensor) -> tf.Tensor:
        """Query vectors, float32 [n, dim], of :func:`slate.retrieval.query.encode_queries` arrays.

        ``table`` [items, dim] holds the candidate tower's vectors by catalogue row.
        """
        return self.embed_known(inputs, looked_up(inputs, table))

    def embed_known(self, inputs: Mapping[str, tf.Tensor], vectors: tf.Tensor) -> tf.Tensor:
        """The same with the candidate tower's vectors of the history, [n, L, dim]; padding may have any."""
        items, ages = inputs[HISTORY_ITEMS], inputs[HISTORY_AGES]
        states = self.query_tower.states(items, inputs[HISTORY_EVENTS], lambda _: vectors, last_only=True)
        elapsed = tf.where(items[:, -1] > 0, ages[:, -1], 0.0)
        return self.query_tower.head(
            states[:, 0], elapsed, _named(inputs, USER_PREFIX), _named(inputs, CONTEXT_PREFIX)
        )

    def candidate_embeddings(self) -> npt.NDArray[np.float32]:
        """The whole catalogue by row, float32 [items, dim], in chunks so that memory stays bounded."""
        rows = np.arange(self.candidate_tower.rows, dtype=np.int32)
        chunks = np.array_split(rows, max(1, len(rows) // 65_536))
        return np.concatenate([self.candidate_tower(tf.constant(chunk)).numpy() for chunk in chunks])


def looked_up(inputs: Mapping[str, tf.Tensor], table: tf.Tensor) -> tf.Tensor:
    """What ``table`` [items, dim] holds of the history, [n, L, dim]; padding has its first row."""
    return tf.gather(table, tf.maximum(inputs[HISTORY_ITEMS] - 1, 0))


def _named(inputs: Mapping[str, tf.Tensor], prefix: str) -> dict[str, tf.Tensor]:
    return {name.removeprefix(prefix): value for name, value in inputs.items() if name.startswith(prefix)}


def _replicated() -> bool:
    """Whether this is one of several replicas that train in step."""
    return bool(
        tf.distribute.get_strategy().num_replicas_in_sync > 1
        and tf.distribute.get_replica_context() is not None
    )
