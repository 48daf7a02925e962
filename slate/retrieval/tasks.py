"""The two training losses: softmax over the whole catalogue, and sampled softmax.

Both take query vectors, and targets that point at them, so that several targets of one instant
share a query. Both return the weighted mean over targets.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_recommenders as tfrs


class Targets(NamedTuple):
    """``query`` int32 [m] indexes queries, ``items`` int32 [m] catalogue rows, ``weights`` float32 [m]."""

    query: tf.Tensor
    items: tf.Tensor
    weights: tf.Tensor


class FullSoftmax(tf.keras.layers.Layer, tfrs.tasks.Task):
    """Cross-entropy over the whole catalogue with sparse labels.

    The stock task needs one query a target and a dense label matrix. Here the normaliser is
    computed once a query, however many targets share it.
    """

    def call(self, queries: tf.Tensor, table: tf.Tensor, targets: Targets) -> tf.Tensor:
        """The loss of queries [q, dim] against the catalogue's vectors [items, dim]."""
        normalisers = tf.reduce_logsumexp(tf.matmul(queries, table, transpose_b=True), axis=1)
        positive = tf.gather(queries, targets.query) * tf.gather(table, targets.items)
        losses = tf.gather(normalisers, targets.query) - tf.reduce_sum(positive, axis=1)
        return _weighted_mean(losses, targets.weights)


class SampledSoftmax(tf.keras.layers.Layer, tfrs.tasks.Task):
    """In-batch and uniform negatives with the logQ correction, on ``tfrs.tasks.Retrieval``.

    The candidates of a batch are its m targets, then n items drawn uniformly. An item is expected
    ``m * share + n / items`` times among them, ``share`` being its part of all targets; the log of
    that is subtracted from its score (Bengio and Senecal, 2008; Yi et al., 2019). Negatives equal
    to a row's own target are removed.
    """

    def __init__(self, target_counts: npt.NDArray[np.int64], in_batch: int, uniform: int) -> None:
        super().__init__(name="sampled_softmax")
        share = target_counts / max(int(target_counts.sum()), 1)
        expected = in_batch * share + uniform / len(target_counts)
        # The stock correction clips to [1e-6, 1]; a common factor changes no softmax.
        self._sampling = (expected / expected.max()).astype(np.float32)
        self._retrieval = tfrs.tasks.Retrieval(
            loss=tf.keras.losses.CategoricalCrossentropy(
                from_logits=True, reduction=tf.keras.losses.Reduction.SUM
            ),
            remove_accidental_hits=True,
        )
        # It takes the length of a shape that is in a graph: a function of its own has AutoGraph for it.
        self._loss = tf.function(self._retrieval)

    def call(
        self,
        queries: tf.Tensor,
        candidates: tf.Tensor,
        negatives: tf.Tensor,
        targets: Targets,
    ) -> tf.Tensor:
        """The loss of queries [q, dim].

        ``candidates`` [m + n, dim] are the vectors of the targets and then of ``negatives``, int32
        [n] catalogue rows.
        """
        rows = tf.concat([targets.items, negatives], axis=0)
        # A slot without a target must not serve as a negative either: it gets no probability at all.
        filled = tf.concat([targets.weights, tf.ones_like(negatives, tf.float32)], axis=0) > 0
        total = self._loss(
            tf.gather(queries, targets.query),
            candidates,
            sample_weight=targets.weights,
            candidate_sampling_probability=tf.gather(tf.constant(self._sampling), rows),
            candidate_ids=rows,
            compute_metrics=False,
            score_mask=tf.broadcast_to(filled, [tf.size(targets.items), tf.size(rows)]),
        )
        return total / tf.maximum(tf.reduce_sum(targets.weights), 1.0)


def _weighted_mean(losses: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(losses * weights) / tf.maximum(tf.reduce_sum(weights), 1.0)
