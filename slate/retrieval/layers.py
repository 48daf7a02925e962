"""The small layers both towers are built from.

Dropout is stateless: a mask depends on a seed and on the place where it is used, never on hidden
state, so a resumed training repeats what an uninterrupted one would have done. ``seed`` is an
int32 [2] tensor while training and None otherwise.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from slate.config import FeatureKind
from slate.data.features import FeatureEncoder


def drop(values: tf.Tensor, rate: float, seed: tf.Tensor | None, place: int) -> tf.Tensor:
    """Dropout (Srivastava et al., 2014) scaled to keep the mean; the identity without a seed."""
    if seed is None or rate == 0.0:
        return values
    keep = keep_mask(tf.shape(values), rate, seed, place)
    return tf.where(keep, values / (1.0 - rate), tf.zeros_like(values))


def keep_mask(shape: tf.Tensor, rate: float, seed: tf.Tensor, place: int) -> tf.Tensor:
    """Booleans of ``shape``, each True with probability 1 - ``rate``."""
    return tf.random.stateless_uniform(shape, seed + tf.constant([place, 0])) >= rate


def small_normal() -> Any:
    """A fresh initialiser for embeddings; one that is shared would give equal tables."""
    return tf.keras.initializers.RandomNormal(stddev=0.02)


class LayerNorm(tf.keras.layers.Layer):
    """Layer normalisation over the last axis (Ba et al., 2016), in operations that XLA fuses."""

    def build(self, shape: tf.TensorShape) -> None:
        self.scale = self.add_weight(name="scale", shape=[shape[-1]], initializer="ones")
        self.shift = self.add_weight(name="shift", shape=[shape[-1]], initializer="zeros")
        super().build(shape)

    def call(self, values: tf.Tensor) -> tf.Tensor:
        centred = values - tf.reduce_mean(values, axis=-1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
        return centred * tf.math.rsqrt(variance + 1e-6) * self.scale + self.shift


class FeatureEmbedding(tf.keras.layers.Layer):
    """Encoded features of one table as one vector a row.

    Codes look up embeddings, lists and texts are mean-pooled over their codes, numbers go through a
    dense layer; the parts are summed. Inputs are the arrays of :mod:`slate.data.features` by
    feature name, with any leading shape n; the output is float32 [n, dim].
    """

    def __init__(self, encoders: Sequence[FeatureEncoder], dim: int, name: str) -> None:
        super().__init__(name=name)
        self._encoders = tuple(encoders)
        self._tables: dict[str, Any] = {}
        for encoder in self._encoders:
            if encoder.size:
                self._tables[encoder.name] = self.add_weight(
                    name=f"table_{encoder.name}",
                    shape=[encoder.size, dim],
                    initializer=small_normal(),
                )
            else:
                self._tables[encoder.name] = self.add_weight(
                    name=f"kernel_{encoder.name}", shape=[2, dim], initializer="glorot_uniform"
                )

    def call(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        parts = []
        for encoder in self._encoders:
            table, codes = tf.identity(self._tables[encoder.name]), inputs[encoder.name]
            if not encoder.size:
                parts.append(tf.matmul(codes, table))
            elif encoder.kind in (FeatureKind.CATEGORICAL_LIST, FeatureKind.TEXT):
                present = tf.expand_dims(tf.cast(codes > 0, tf.float32), -1)
                total = tf.reduce_sum(tf.gather(table, codes) * present, axis=-2)
                parts.append(total / tf.maximum(tf.reduce_sum(present, axis=-2), 1.0))
            else:
                parts.append(tf.gather(table, codes))
        return tf.add_n(parts)
