"""The ranking model: what a candidate is worth to a user now.

``P(event) = P(interaction) x P(event | interaction)``, as in entire-space multi-task models (Ma et al.,
2018): negatives are sampled for the first factor alone, so one correction makes every event's
probability right. The order starts as retrieval's, and training adds a residual.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from slate.config import RankingConfig
from slate.data.features import EncodedArray, FeatureEncoder, FeatureSpace
from slate.ranking.attention import TargetAttention
from slate.ranking.crossed import CrossedDense
from slate.ranking.scorer import CANDIDATES, RANKS, RETRIEVAL_SCORES
from slate.retrieval.layers import FeatureEmbedding, drop, keep_mask
from slate.retrieval.query import (
    CONTEXT_PREFIX,
    HISTORY_AGES,
    HISTORY_EVENTS,
    HISTORY_ITEMS,
    USER_PREFIX,
)
from slate.retrieval.weights import id_codes

Float32 = npt.NDArray[np.float32]
Lookup = Callable[[tf.Tensor], tf.Tensor]

#: Items with fewer training interactions share one id vector.
LEAST_COUNT: Final = 1

_ID_DROPOUT, _FIRST_DROPOUT = 0, 1


class Outputs(NamedTuple):
    """Logits of an interaction [n, m] and of each event given one [n, m, events]; value [n, m], scaled."""

    interaction: tf.Tensor
    events: tf.Tensor
    value: tf.Tensor


class Known(NamedTuple):
    """What the tables say of the rows asked for: vectors of candidates [n, m, width] and of the history
    [n, L, width], and the candidates' standardised popularity [n, m].
    """

    candidates: tf.Tensor
    history: tf.Tensor
    popularity: tf.Tensor


class Scale(NamedTuple):
    """Means and standard deviations of the numbers that enter, and of the value that is predicted.

    Predicted values stay between ``value_low`` and ``value_high``.
    """

    score_mean: float = 0.0
    score_std: float = 1.0
    rank_mean: float = 0.0
    rank_std: float = 1.0
    value_mean: float = 0.0
    value_std: float = 1.0
    value_low: float = 0.0
    value_high: float = 0.0


class Items(NamedTuple):
    """What the model knows of each catalogue row.

    ``content`` are encoded features, ``counts`` int64 [items] training interactions, ``embeddings``
    float32 [items, dim] the tower's candidate vectors, which stay as they are.
    """

    content: Mapping[str, EncodedArray]
    counts: npt.NDArray[np.int64]
    embeddings: Float32


class ItemEncoder(tf.keras.layers.Layer):
    """A vector for each catalogue row: the tower's vector projected, an id vector, and content.

    Items never trained on share one *unknown* id vector; while training, ``id_dropout`` of the others
    take it too. ``linear`` leaves the id vector and the tower's out, for logistic regression.
    """

    def __init__(
        self, items: Items, features: FeatureSpace, width: int, id_dropout: float, *, linear: bool
    ) -> None:
        super().__init__(name="items")
        self._codes = id_codes(items.counts, LEAST_COUNT)
        self.arrays = {name: np.asarray(array) for name, array in items.content.items()}
        self._content = _embedding(features.items, width, "content", linear)
        self._id_dropout, self.linear, self.width = id_dropout, linear, width
        self.scale = float(items.embeddings.std()) or 1.0
        self._embeddings = (items.embeddings / self.scale).astype(np.float32)
        if not linear:
            self.ids = self.add_weight(
                name="ids",
                shape=[int(self._codes.max(initial=0)) + 1, width],
                initializer=tf.keras.initializers.RandomNormal(stddev=0.02),
            )
            self.projection = self.add_weight(
                name="projection", shape=[items.embeddings.shape[1], width], initializer="glorot_uniform"
            )

    @property
    def rows(self) -> int:
        return len(self._codes)

    def call(self, rows: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Vectors, float32 [k, width], of catalogue rows, int32 [k]."""
        vectors = tf.zeros([tf.shape(rows)[0], self.width])
        if not self.linear:
            codes = tf.gather(tf.constant(self._codes), rows)
            if seed is not None and self._id_dropout:
                codes = tf.where(keep_mask(tf.shape(codes), self._id_dropout, seed, _ID_DROPOUT), codes, 0)
            vectors += tf.gather(tf.identity(self.ids), codes)
            vectors += tf.matmul(tf.gather(tf.constant(self._embeddings), rows), self.projection)
        if self._content is not None:
            gathered = {name: tf.gather(tf.constant(array), rows) for name, array in self.arrays.items()}
            vectors += self._content(gathered)
        return vectors

    def content(self, arrays: Mapping[str, tf.Tensor], count: int) -> tf.Tensor:
        """What encoded features [count, ...] add to an item's vector, float32 [count, width]."""
        return tf.zeros([count, self.width]) if self._content is None else self._content(arrays)

    def table(self) -> Float32:
        """The whole catalogue, float32 [items, width], in chunks so that memory stays bounded."""
        rows = np.arange(self.rows, dtype=np.int32)
        chunks = np.array_split(rows, max(1, self.rows // 65_536))
        return np.concatenate([self(tf.constant(chunk)).numpy() for chunk in chunks])

    def lookup(self, seed: tf.Tensor | None = None) -> Lookup:
        """Encode rows of any shape, each distinct one once."""

        def encode(rows: tf.Tensor) -> tf.Tensor:
            distinct, places = tf.unique(tf.reshape(rows, [-1]))
            vectors = tf.gather(self(distinct, seed=seed), places)
            return tf.reshape(vectors, tf.concat([tf.shape(rows), [self.width]], axis=0))

        return encode


class RankingModel(tf.keras.Model):
    """The multi-task model, or logistic regression over the same inputs; see the module.

    Inputs are those of :func:`slate.retrieval.query.encode_queries`, and for m candidates a query
    ``candidates`` int32 [n, m] (catalogue row + 1, 0 for padding), ``retrieval_scores`` and ``ranks``
    float32 [n, m] (how many of the query's candidates retrieval puts before it).

    ``interaction_prior`` and ``event_priors`` are log-odds with which training starts; of an event
    that is not ``trained`` the prior is the answer. ``trained`` bool [events + 1] ends with the value.
    """

    def __init__(
        self,
        config: RankingConfig,
        features: FeatureSpace,
        items: Items,
        scale: Scale,
        interaction_prior: float,
        event_priors: Float32,
        trained: npt.NDArray[np.bool_],
    ) -> None:
        super().__init__(name="ranker")
        self.scale, self._dropout = scale, config.dropout
        self._linear = config.model == "logistic"
        self._outputs = 2 + len(features.events)
        width = self._outputs if self._linear else config.dim
        self.items = ItemEncoder(items, features, width, config.id_dropout, linear=self._linear)
        self._users = _embedding(features.users, width, "users", self._linear)
        self._context = _embedding(features.context, width, "context", self._linear)
        popularity = np.log1p(items.counts.astype(np.float64))
        mean, spread = popularity.mean(), float(popularity.std()) or 1.0
        self.popularity, self.unwanted = ((popularity - mean) / spread).astype(np.float32), -mean / spread
        priors = np.concatenate([[interaction_prior], event_priors, [0.0]]).astype(np.float32)
        self.trained = np.concatenate([[1.0], trained]).astype(np.float32)
        kernel = np.zeros((3, self._outputs), np.float32)
        kernel[0, 0] = 1.0
        self._bias = self.add_weight(
            name="bias", shape=[self._outputs], initializer=tf.keras.initializers.Constant(priors)
        )
        self._kernel = self.add_weight(
            name="kernel", shape=kernel.shape, initializer=tf.keras.initializers.Constant(kernel)
        )
        if not self._linear:
            self._attention = TargetAttention(len(features.events), width)
            first, *further = config.hidden
            self._crossed = CrossedDense(width, kernel.shape[0], first)
            self._hidden = [
                tf.keras.layers.Dense(size, activation="relu", name=f"hidden_{i}")
                for i, size in enumerate(further, start=1)
            ]
            self._residual = tf.keras.layers.Dense(
                self._outputs, use_bias=False, kernel_initializer="zeros", name="residual"
            )
        self.priors = priors

    def call(
        self,
        inputs: Mapping[str, tf.Tensor],
        lookup: Lookup | None = None,
        popularity: tf.Tensor | None = None,
        seed: tf.Tensor | None = None,
    ) -> Outputs:
        """Outputs for n queries and m candidates each; padding gets numbers without meaning.

        ``lookup`` gives item vectors by catalogue row, ``popularity`` float32 [items] their standardised
        popularity; by default both come from the model itself. With a ``seed``, dropout is on.
        """
        lookup = lookup or self.items.lookup(seed)
        popularity = tf.constant(self.popularity) if popularity is None else popularity
        rows, history = (tf.maximum(inputs[name] - 1, 0) for name in (CANDIDATES, HISTORY_ITEMS))
        known = Known(lookup(rows), lookup(history), tf.gather(popularity, rows))
        return self.respond(inputs, known, seed)

    def respond(
        self,
        inputs: Mapping[str, tf.Tensor],
        known: Known,
        seed: tf.Tensor | None = None,
        *,
        many: bool = False,
    ) -> Outputs:
        """The same for rows that were looked up.

        ``many`` says that a query has many candidates: the same numbers, computed otherwise.
        """
        wide = tf.stack(
            [
                (inputs[RETRIEVAL_SCORES] - self.scale.score_mean) / self.scale.score_std,
                (tf.math.log1p(inputs[RANKS]) - self.scale.rank_mean) / self.scale.rank_std,
                known.popularity,
            ],
            axis=-1,
        )
        user = self._user_vectors(inputs, tf.shape(known.candidates)[0])
        logits = tf.tensordot(wide, self._kernel, 1) + self._bias
        if self._linear:
            logits += known.candidates + tf.expand_dims(user, 1)
        else:
            logits += self._residuals(inputs, wide, known, user, seed, many)
        # What had nothing to learn from keeps its prior.
        logits = self.priors + self.trained * (logits - self.priors)
        return Outputs(logits[..., 0], logits[..., 1:-1], logits[..., -1])

    def _user_vectors(self, inputs: Mapping[str, tf.Tensor], count: tf.Tensor) -> tf.Tensor:
        vectors = tf.zeros([count, self.items.width])
        for prefix, layer in ((USER_PREFIX, self._users), (CONTEXT_PREFIX, self._context)):
            if layer is not None:
                vectors += layer(
                    {n.removeprefix(prefix): v for n, v in inputs.items() if n.startswith(prefix)}
                )
        return vectors

    def _residuals(
        self,
        inputs: Mapping[str, tf.Tensor],
        wide: tf.Tensor,
        known: Known,
        user: tf.Tensor,
        seed: tf.Tensor | None,
        many: bool,
    ) -> tf.Tensor:
        candidates = known.candidates
        attended = self._attention(
            candidates,
            known.history,
            inputs[HISTORY_EVENTS],
            inputs[HISTORY_AGES],
            inputs[HISTORY_ITEMS] > 0,
        )
        # One row a pair from here on: a dense layer over three dimensions reshapes to two and back.
        if many:
            hidden = _flat(self._crossed.of_lists(candidates, attended, user, wide))
        else:
            users = tf.broadcast_to(tf.expand_dims(user, 1), tf.shape(candidates))
            hidden = self._crossed(*(_flat(part) for part in (candidates, attended, users, wide)))
        hidden = drop(hidden, self._dropout, seed, _FIRST_DROPOUT)
        for place, layer in enumerate(self._hidden, start=1):
            hidden = drop(layer(hidden), self._dropout, seed, _FIRST_DROPOUT + place)
        residuals = self._residual(hidden)
        return tf.reshape(residuals, tf.concat([tf.shape(candidates)[:2], [self._outputs]], axis=0))


def _flat(values: tf.Tensor) -> tf.Tensor:
    """[n, m, width] as [n x m, width]."""
    return tf.reshape(values, [-1, values.shape[-1]])


def _embedding(
    encoders: Sequence[FeatureEncoder], width: int, name: str, linear: bool
) -> FeatureEmbedding | None:
    """A layer over one table's features, where there are any; linear weights start at zero."""
    if not encoders:
        return None
    layer = FeatureEmbedding(encoders, width, name=name)
    if linear:
        layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    return layer
