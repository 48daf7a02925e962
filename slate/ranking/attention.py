"""What of a user's history matters for a candidate."""

from typing import Final

import numpy as np
import tensorflow as tf

_AGE_SCALE: Final = 10.0
_MASKED: Final = -1e9
_HEADS: Final = 2


class TargetAttention(tf.keras.layers.Layer):
    """What of the history matters for each candidate: the candidate attends over it.

    The idea is that of the Deep Interest Network (Zhou et al., 2018); the weights are scaled dot products
    (Vaswani et al., 2017) in place of its activation unit, which would cost a small network for every
    pair of candidate and history item.

    Candidates are many and tokens few, so what can be is done to tokens: a head's two projections make one
    matrix, which tokens go through, and its values stand in columns of their own.
    """

    def __init__(self, events: int, width: int) -> None:
        super().__init__(name="target_attention")
        self._width = width
        self._inner = inner = width + width % _HEADS
        self._query, self._key, self._value = (
            self.add_weight(name=name, shape=[width, inner], initializer="glorot_uniform")
            for name in ("query", "key", "value")
        )
        self._value_bias = self.add_weight(name="value_bias", shape=[inner], initializer="zeros")
        self._events = self.add_weight(name="events", shape=[events + 1, width], initializer="uniform")
        self._ages = self.add_weight(name="ages", shape=[1, width], initializer="zeros")
        self._recency = self.add_weight(name="recency", shape=[_HEADS], initializer="zeros")
        # Which columns are whose, [heads, 1, inner].
        self._own = np.repeat(np.eye(_HEADS, dtype=np.float32), inner // _HEADS, axis=1)[:, np.newaxis]

    def call(
        self,
        candidates: tf.Tensor,
        history: tf.Tensor,
        events: tf.Tensor,
        ages: tf.Tensor,
        present: tf.Tensor,
    ) -> tf.Tensor:
        """Summaries, float32 [n, m, width], of histories [n, L, width] for candidates [n, m, width].

        ``events`` and ``ages`` [n, L] belong to the history; ``present`` bool [n, L] is False on padding,
        which changes nothing. Without a history the summary is 0.
        """
        shape, aged = tf.shape(history), ages / _AGE_SCALE
        tokens = (
            history + tf.gather(tf.identity(self._events), events) + tf.expand_dims(aged, -1) * self._ages
        )
        tokens, there = tf.expand_dims(tokens, 1), tf.expand_dims(present, 1)
        both = tf.matmul(self._own * self._key, self._query, transpose_b=True)
        keys = tf.matmul(tokens, both * (self._inner // _HEADS) ** -0.5)
        values = tf.matmul(tokens, self._own * self._value) + self._own * self._value_bias
        values *= tf.expand_dims(tf.cast(there, tf.float32), -1)
        bias = tf.where(there, -tf.expand_dims(self._recency, 1) * tf.expand_dims(aged, 1), _MASKED)

        pairs = shape[1] * _HEADS
        weights = tf.matmul(candidates, tf.reshape(keys, [shape[0], pairs, self._width]), transpose_b=True)
        weights += tf.reshape(bias, [shape[0], 1, pairs])
        by_head = tf.nn.softmax(tf.reshape(weights, [-1, shape[1]]))
        mixed = tf.matmul(
            tf.reshape(by_head, tf.shape(weights)), tf.reshape(values, [shape[0], pairs, self._inner])
        )
        return mixed[..., : self._width]
