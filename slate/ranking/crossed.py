"""The ranking model's first dense layer, over what candidate, history and user have in common."""

from collections.abc import Sequence
from typing import Final, NamedTuple

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
        self._crossed, self._units = _PARTS * width, units
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
        sums, squares = _row_sums(parts), _row_sums([part * part for part in parts])
        mean, deviation = self._moments(sums, squares)
        weights = self._by_part()
        # The mean joins as one more input, and what is not to be divided comes multiplied.
        inputs = tf.concat([*parts, -mean, wide * deviation], axis=-1)
        kernel = tf.concat([*weights.parts, weights.mean, weights.wide], axis=0)
        return tf.nn.relu(tf.nn.bias_add(tf.matmul(inputs, kernel) / deviation, weights.bias))

    def of_lists(
        self, candidates: tf.Tensor, attended: tf.Tensor, users: tf.Tensor, wide: tf.Tensor
    ) -> tf.Tensor:
        """The same, float32 [n, m, units], where each of n users has many candidates.

        ``c @ K1 + (c * u) @ K2 = c @ (K1 + u * K2)``: a matrix for each user takes what is linear in the
        candidate, its sums for the norm included, and what is the user's alone is computed once. Of 200
        candidates each costs 0.4 of what it does in :meth:`call`; of ten, three times as much to train.

        Args:
            candidates: [n, m, width]; ``attended`` likewise, ``users`` [n, width], ``wide`` [n, m, wide].
        """
        both = candidates * attended
        weights = self._by_part()
        of_candidates, of_attended, of_both, of_users, of_own = weights.parts
        mixed = of_candidates + tf.expand_dims(users, -1) * of_own
        linear = tf.matmul(candidates, tf.concat([mixed, tf.expand_dims(1.0 + users, -1)], axis=-1))
        from_candidates, sums = linear[..., : self._units], linear[..., self._units :]
        squares = tf.matmul(candidates * candidates, tf.expand_dims(1.0 + users * users, -1))
        mean, deviation = self._moments(
            sums + _row_sums([attended, both]) + tf.expand_dims(_row_sums([users]), 1),
            squares
            + _row_sums([attended * attended, both * both])
            + tf.expand_dims(_row_sums([users * users]), 1),
        )
        inputs = tf.concat([attended, both, -mean, wide * deviation], axis=-1)
        kernel = tf.concat([of_attended, of_both, weights.mean, weights.wide], axis=0)
        rest = tf.matmul(tf.reshape(inputs, [-1, inputs.shape[-1]]), kernel)
        whole = tf.reshape(rest, tf.shape(from_candidates)) + from_candidates
        whole += tf.expand_dims(tf.matmul(users, of_users), 1)
        return tf.nn.relu(tf.nn.bias_add(whole / deviation, weights.bias))

    def _moments(self, sums: tf.Tensor, squares: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and deviation of numbers of which these are the sum and the sum of squares."""
        mean = sums / self._crossed
        variance = squares / self._crossed - mean * mean
        return mean, tf.sqrt(tf.maximum(variance, 0.0) + _SMALLEST)

    def _by_part(self) -> "_Weights":
        kernel = tf.identity(self._kernel)
        norm, wide = kernel[: self._crossed], kernel[self._crossed :]
        scaled = self._scale[:, tf.newaxis] * norm
        bias = self._bias + tf.linalg.matvec(norm, self._shift, transpose_a=True)
        return _Weights(tf.split(scaled, _PARTS), tf.reduce_sum(scaled, axis=0, keepdims=True), wide, bias)


class _Weights(NamedTuple):
    """The kernel with the norm's scale in it, by part, and what the mean, ``wide`` and the shift add."""

    parts: Sequence[tf.Tensor]
    mean: tf.Tensor
    wide: tf.Tensor
    bias: tf.Tensor


def _row_sums(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """The sum of all parts over the last axis, kept as an axis of 1."""
    return tf.reduce_sum(tf.add_n(list(parts)), axis=-1, keepdims=True)
