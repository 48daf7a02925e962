"""The ranking model's first dense layer, over what candidate, history and user have in common."""

from collections.abc import Sequence
from typing import Final

import tensorflow as tf

_PARTS: Final = 5
_SMALLEST: Final = 1e-6


class CrossedDense(tf.keras.layers.Layer):
    """``relu(norm([c, a, c * a, u, c * u]) @ K + wide @ W + b)`` of candidates c, histories a and users u.

    ``norm`` is layer normalisation (Ba et al., 2016) with scale g and shift s. It is not computed as such,
    which would go over the widest array of the model six times: with mean m and deviation d of the parts x,
    ``norm(x) @ K = (x @ (g * K) - m * sum(g * K)) / d + s @ K``, and both follow from sums over parts.

    Args:
        width: of c, a and u; ``wide`` numbers join them as they are; ``units`` come out.
    """

    def __init__(self, width: int, wide: int, units: int) -> None:
        super().__init__(name="crossed")
        self._crossed = _PARTS * width
        self._scale = self.add_weight(name="scale", shape=[self._crossed], initializer="ones")
        self._shift = self.add_weight(name="shift", shape=[self._crossed], initializer="zeros")
        self._kernel = self.add_weight(
            name="kernel", shape=[self._crossed + wide, units], initializer="glorot_uniform"
        )
        self._bias = self.add_weight(name="bias", shape=[units], initializer="zeros")

    def call(
        self, candidates: tf.Tensor, attended: tf.Tensor, users: tf.Tensor, wide: tf.Tensor
    ) -> tf.Tensor:
        """Float32 [k, units] of k rows."""
        both, own = candidates * attended, candidates * users
        parts = (candidates, attended, both, users, own)
        mean = _row_sums(parts) / self._crossed
        variance = _row_sums([part * part for part in parts]) / self._crossed - mean * mean
        deviation = tf.sqrt(tf.maximum(variance, 0.0) + _SMALLEST)
        kernel = tf.identity(self._kernel)
        crossed = self._scale[:, tf.newaxis] * kernel[: self._crossed]
        # The mean joins as one more input, and what is not to be divided comes multiplied.
        inputs = tf.concat([*parts, -mean, wide * deviation], axis=-1)
        weights = tf.concat(
            [crossed, tf.reduce_sum(crossed, axis=0, keepdims=True), kernel[self._crossed :]], axis=0
        )
        bias = self._bias + tf.linalg.matvec(kernel[: self._crossed], self._shift, transpose_a=True)
        return tf.nn.relu(tf.nn.bias_add(tf.matmul(inputs, weights) / deviation, bias))


def _row_sums(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """The sum of all parts over the last axis, [k, 1]."""
    return tf.reduce_sum(tf.add_n(list(parts)), axis=-1, keepdims=True)
