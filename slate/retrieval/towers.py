"""The candidate tower and the query tower. Both give vectors whose dot product is the score."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from slate.data.features import EncodedArray, FeatureEncoder
from slate.retrieval.layers import FeatureEmbedding, LayerNorm, drop, keep_mask, small_normal
from slate.retrieval.weights import id_codes

_ID_DROPOUT, _INPUT_DROPOUT, _HEAD_DROPOUT, _FIRST_BLOCK = 0, 1, 2, 3
_MASKED = -1e9

Lookup = Callable[[tf.Tensor], tf.Tensor]


class CandidateTower(tf.keras.layers.Layer):
    """Item id plus content features, by catalogue row.

    Rows whose training count is below ``min_count`` share one *unknown* id vector. While training,
    ``id_dropout`` of the rows do too, which teaches content to stand alone. The features of every
    row are constants of the layer.
    """

    def __init__(
        self,
        content: Mapping[str, EncodedArray],
        encoders: Sequence[FeatureEncoder],
        train_counts: npt.NDArray[np.int64],
        *,
        dim: int,
        min_count: int,
        id_dropout: float,
    ) -> None:
        super().__init__(name="candidate_tower")
        self._id_codes = id_codes(train_counts, min_count)
        self.content = {name: np.asarray(array) for name, array in content.items()}
        self.features = FeatureEmbedding(encoders, dim, name="item_features") if encoders else None
        self._id_dropout = id_dropout
        self.ids = self.add_weight(
            name="ids",
            shape=[int(self._id_codes.max(initial=0)) + 1, dim],
            initializer=small_normal(),
        )

    @property
    def rows(self) -> int:
        return len(self._id_codes)

    def call(self, rows: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Vectors, float32 [..., dim], of catalogue rows, int32 [...]."""
        codes = tf.gather(tf.constant(self._id_codes), rows)
        if seed is not None and self._id_dropout:
            codes = tf.where(keep_mask(tf.shape(codes), self._id_dropout, seed, _ID_DROPOUT), codes, 0)
        vectors = tf.gather(tf.identity(self.ids), codes)
        if self.features is None:
            return vectors
        content = {name: tf.gather(tf.constant(array), rows) for name, array in self.content.items()}
        return vectors + self.features(content)

    def table(self, seed: tf.Tensor | None = None) -> tf.Tensor:
        """The whole catalogue, float32 [rows, dim]."""
        return self(tf.range(self.rows), seed=seed)


class Block(tf.keras.layers.Layer):
    """A pre-norm transformer block (Xiong et al., 2020) with a learned bias for each distance.

    Distances beyond ``reach`` share one bias. The first column is the start token, which every
    position sees.
    """

    def __init__(self, dim: int, heads: int, reach: int, dropout: float, name: str) -> None:
        super().__init__(name=name)
        self._heads, self._reach, self._dropout, self._dim = heads, reach, dropout, dim
        self._norm, self._hidden_norm = LayerNorm(), LayerNorm()
        self._query = tf.keras.layers.Dense(dim, name="query")
        self._key = tf.keras.layers.Dense(dim, use_bias=False, name="key")
        self._value = tf.keras.layers.Dense(dim, name="value")
        self._output = tf.keras.layers.Dense(dim, name="output")
        self._wide = tf.keras.layers.Dense(4 * dim, activation="relu", name="wide")
        self._narrow = tf.keras.layers.Dense(dim, name="narrow")
        self._distance_bias = self.add_weight(
            name="distance_bias", shape=[heads, reach + 1], initializer="zeros"
        )
        self._start_bias = self.add_weight(name="start_bias", shape=[heads], initializer="zeros")

    def call(
        self,
        values: tf.Tensor,
        present: tf.Tensor,
        seed: tf.Tensor | None,
        place: int,
        last_only: bool = False,
    ) -> tf.Tensor:
        """[n, length, dim] to the same shape, or to [n, 1, dim] for the last position alone.

        ``present``, bool [n, length], is False on padding.
        """
        count, length = tf.shape(values)[0], tf.shape(values)[1]
        normed = self._norm(values)
        asking, residual = (normed[:, -1:], values[:, -1:]) if last_only else (normed, values)
        positions = tf.range(length)
        asked = positions[-1:] if last_only else positions
        # One row a position: a dense layer over three dimensions reshapes to two and back.
        asking, normed = self._rows(asking), self._rows(normed)
        query = self._split(self._query(asking), count)
        key, value = self._split(self._key(normed), count), self._split(self._value(normed), count)
        scores = tf.matmul(query, key, transpose_b=True) * (self._dim // self._heads) ** -0.5
        distances = tf.expand_dims(asked, 1) - tf.expand_dims(positions, 0)
        scores += self._bias(distances, positions)
        visible = tf.expand_dims(distances >= 0, 0) & tf.expand_dims(present, 1)
        scores = tf.where(tf.expand_dims(visible, 1), scores, _MASKED)
        mixed = tf.transpose(tf.matmul(tf.nn.softmax(scores), value), [0, 2, 1, 3])
        mixed = self._output(self._rows(mixed))
        states = self._rows(residual) + drop(mixed, self._dropout, seed, place)
        hidden = self._narrow(self._wide(self._hidden_norm(states)))
        states += drop(hidden, self._dropout, seed, place + 1)
        return tf.reshape(states, [count, 1 if last_only else length, self._dim])

    def _rows(self, values: tf.Tensor) -> tf.Tensor:
        return tf.reshape(values, [-1, self._dim])

    def _split(self, rows: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        parts = tf.reshape(rows, [count, -1, self._heads, self._dim // self._heads])
        return tf.transpose(parts, [0, 2, 1, 3])

    def _bias(self, distances: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        # Not as a minimum of a maximum: of 0 and 6 LiteRT's converter makes an activation, of integers too.
        bounded = tf.where(distances > self._reach, self._reach, tf.maximum(distances, 0))
        near = tf.gather(self._distance_bias, bounded, axis=1)
        return tf.where(positions == 0, tf.reshape(self._start_bias, [-1, 1, 1]), near)


class QueryTower(tf.keras.layers.Layer):
    """A causal transformer over the recent history, plus user features, context and elapsed time.

    A learned start token stands before the oldest interaction, so an empty history has a state too.
    Positions are told apart by their distance from each other only, so padding changes nothing.
    """

    def __init__(
        self,
        *,
        events: int,
        users: Sequence[FeatureEncoder],
        context: Sequence[FeatureEncoder],
        dim: int,
        blocks: int,
        heads: int,
        reach: int,
        dropout: float,
    ) -> None:
        super().__init__(name="query_tower")
        self._dim, self._dropout = dim, dropout
        self._blocks = [Block(dim, heads, reach, dropout, name=f"block_{i}") for i in range(blocks)]
        self._norm = LayerNorm()
        self._user_features = FeatureEmbedding(users, dim, name="user_features") if users else None
        self._context_features = FeatureEmbedding(context, dim, name="context_features") if context else None
        self._head_hidden = tf.keras.layers.Dense(dim, activation="relu", name="head_hidden")
        self._head = tf.keras.layers.Dense(dim, name="head")
        self._input_norm = LayerNorm()
        self._event_table = self.add_weight(
            name="events", shape=[events + 1, dim], initializer=small_normal()
        )
        self._start = self.add_weight(name="start", shape=[dim], initializer=small_normal())

    def states(
        self,
        items: tf.Tensor,
        events: tf.Tensor,
        lookup: Lookup,
        seed: tf.Tensor | None = None,
        last_only: bool = False,
    ) -> tf.Tensor:
        """States after each position, float32 [n, L + 1, dim]; column 0 is the start token.

        ``items`` int32 [n, L] are catalogue rows + 1, ``events`` their codes; ``lookup`` gives item
        vectors by catalogue row. With ``last_only`` the result is [n, 1, dim].
        """
        count = tf.shape(items)[0]
        tokens = lookup(tf.maximum(items - 1, 0)) + tf.gather(tf.identity(self._event_table), events)
        # Padding repeats the start token, sees it alone and so equals it: without a history the last
        # column is the start token's.
        tokens = tf.where(tf.expand_dims(items, -1) > 0, tokens, self._start)
        start = tf.broadcast_to(self._start, [count, 1, self._dim])
        values = self._input_norm(tf.concat([start, tokens], axis=1))
        present = tf.concat([tf.ones([count, 1], tf.bool), items > 0], axis=1)
        values = drop(values, self._dropout, seed, _INPUT_DROPOUT)
        for number, block in enumerate(self._blocks):
            values = block(
                values,
                present,
                seed,
                _FIRST_BLOCK + 2 * number,
                last_only=last_only and number == len(self._blocks) - 1,
            )
        return values

    def head(
        self,
        states: tf.Tensor,
        elapsed: tf.Tensor,
        users: Mapping[str, tf.Tensor],
        context: Mapping[str, tf.Tensor],
        seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Query vectors, float32 [n, dim], from states [n, dim].

        ``elapsed`` [n] is log1p of the seconds since the last interaction, 0 without one.
        """
        states = self._norm(states)
        parts = [states, tf.expand_dims(elapsed, 1) / 10.0]
        if self._user_features is not None:
            parts.append(self._user_features(users))
        if self._context_features is not None:
            parts.append(self._context_features(context))
        hidden = drop(self._head_hidden(tf.concat(parts, axis=-1)), self._dropout, seed, _HEAD_DROPOUT)
        return states + self._head(hidden)
