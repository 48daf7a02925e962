"""The ranking model as it is exported, for batches of any shape.

As a SavedModel with the item tables inside, for whoever serves those, and in the form that Slate serves: two
functions compiled for LiteRT, and the tables beside them, which take rows for new items.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from slate.config import Event, RankingConfig
from slate.data.features import EncodedArray
from slate.litert import convert
from slate.ranking.model import Known, Lookup, Outputs, RankingModel
from slate.ranking.scorer import (
    CANDIDATE_VECTORS,
    CANDIDATES,
    ITEM_FILE,
    OUTPUTS,
    POPULARITY,
    POPULARITY_FILE,
    PROBABILITIES,
    RANKS,
    RETRIEVAL_SCORES,
    SCORE,
    SCORE_FILE,
    SIGNATURE,
    TABLE_FILE,
    VALUE,
    VECTOR,
)
from slate.retrieval import specifications
from slate.retrieval.query import (
    EMBEDDING,
    HISTORY_VECTORS,
    ITEM_PREFIX,
)

INTERACTION: Final = "interaction"


class ServedRanker(tf.Module):
    """Scores candidates: the sum over events of weight x probability.

    An event with ``weight_by: value`` counts its weight times the predicted value, unless
    ``weighted_by_value`` has put the value into its probability already.
    """

    def __init__(
        self,
        model: RankingModel,
        config: RankingConfig,
        events: Sequence[Event],
        encoded: Mapping[str, EncodedArray],
    ) -> None:
        super().__init__(name="ranker")
        # Variables are tracked, Keras objects are not, so that loading needs plain TensorFlow only.
        self._variables = list(model.variables)
        self._untracked = _Untracked(model)
        self._weights = np.asarray([event.weight for event in events], np.float32)
        by_value = [event.weight_by == "value" and not config.weighted_by_value for event in events]
        self._by_value = np.asarray(by_value, np.float32)
        self.item_table = tf.Variable(model.items.table(), trainable=False, name="item_table")
        self.popularity = tf.Variable(model.popularity, trainable=False, name="popularity")
        specification = specifications.of_queries(encoded)
        specification[CANDIDATES] = tf.TensorSpec([None, None], tf.int32, name=CANDIDATES)
        specification[RETRIEVAL_SCORES] = tf.TensorSpec([None, None], tf.float32, name=RETRIEVAL_SCORES)
        self._encoded, self._history = encoded, config.history
        #: The served answer, and the probability of any interaction, float32 [n, m].
        self.score_and_interaction = tf.function(
            self._looked_up, input_signature=[specification], autograph=False
        )
        self.score = tf.function(self._score, input_signature=[specification], autograph=False)

    @property
    def _model(self) -> RankingModel:
        return self._untracked.model

    def in_memory(self, inputs: Mapping[str, EncodedArray]) -> dict[str, npt.NDArray[np.float32]]:
        """What the trained layers answer before export, without the item table."""
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        answer = self._answer(tensors, self._model.items.lookup(), tf.constant(self._model.popularity))
        return {name: answer[name].numpy() for name in OUTPUTS}

    @tf.function(reduce_retracing=True, autograph=False)
    def answer_over(
        self, inputs: Mapping[str, tf.Tensor], table: tf.Tensor, popularity: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The same over other item vectors [k, width] and popularities [k], which the inputs point into.

        Inputs may hold ``ranks``; without them each list is ranked by its retrieval scores.
        """
        return self._answer(inputs, lambda rows: tf.gather(table, rows), popularity)

    def save(self, directory: Path) -> None:
        """Write the SavedModel, and beside it what :class:`slate.ranking.scorer.Ranker` opens."""
        tf.saved_model.save(self, str(directory), signatures={SIGNATURE: self.score})
        table, popularity = self.item_table.numpy(), self.popularity.numpy()
        np.save(directory / TABLE_FILE, table)
        np.save(directory / POPULARITY_FILE, popularity)
        specification = specifications.of_queries(self._encoded, self._history)
        specification[CANDIDATES] = tf.TensorSpec([None, None], tf.int32, name=CANDIDATES)
        pairs, width = [None, None], table.shape[1]
        shapes = {
            RETRIEVAL_SCORES: pairs,
            CANDIDATE_VECTORS: [*pairs, width],
            HISTORY_VECTORS: [None, self._history, width],
            POPULARITY: pairs,
            RANKS: pairs,
        }
        for name, shape in shapes.items():
            specification[name] = tf.TensorSpec(shape, tf.float32, name=name)
        known = tf.function(self._score_known, input_signature=[specification], autograph=False)
        convert.write(known, directory / SCORE_FILE)
        convert.write(_item(self._model), directory / ITEM_FILE)

    def _score_known(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        known = Known(inputs[CANDIDATE_VECTORS], inputs[HISTORY_VECTORS], inputs[POPULARITY])
        answer = self._worth(inputs, self._model.respond(self._asked(inputs), known, many=True))
        return {name: answer[name] for name in OUTPUTS}

    def _score(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        answer = self.score_and_interaction(inputs)
        return {name: answer[name] for name in OUTPUTS}

    def _looked_up(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self._answer(inputs, lambda rows: tf.gather(self.item_table, rows), self.popularity)

    def _answer(
        self, inputs: Mapping[str, tf.Tensor], lookup: Lookup, popularity: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        outputs = self._model(self._asked(inputs), lookup=lookup, popularity=popularity)
        return self._worth(inputs, outputs)

    def _asked(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The inputs, every retrieval score a number and ranks among them."""
        given = inputs[RETRIEVAL_SCORES]
        usable = (inputs[CANDIDATES] > 0) & tf.math.is_finite(given)
        asked = dict(inputs)
        asked[RETRIEVAL_SCORES] = tf.where(usable, given, self._model.scale.score_mean)
        if RANKS not in asked:
            asked[RANKS] = ranks(given, usable)
        return asked

    def _worth(self, inputs: Mapping[str, tf.Tensor], outputs: Outputs) -> dict[str, tf.Tensor]:
        scale = self._model.scale
        value = tf.clip_by_value(
            scale.value_mean + scale.value_std * outputs.value, scale.value_low, scale.value_high
        )
        interaction = tf.sigmoid(outputs.interaction)
        probabilities = tf.expand_dims(interaction, -1) * tf.sigmoid(outputs.events)
        worth = self._weights * (1.0 + self._by_value * (tf.expand_dims(value, -1) - 1.0))
        score = tf.reduce_sum(worth * probabilities, axis=-1)
        shown = tf.cast(inputs[CANDIDATES] > 0, tf.float32)
        return {
            SCORE: score * shown,
            PROBABILITIES: probabilities * tf.expand_dims(shown, -1),
            VALUE: value * shown,
            INTERACTION: interaction * shown,
        }


class _Untracked:
    """Keeps a model out of TensorFlow's sight."""

    def __init__(self, model: RankingModel) -> None:
        self.model = model


def ranks(scores: tf.Tensor, usable: tf.Tensor) -> tf.Tensor:
    """How many usable candidates of the same row have a higher score, float32 [n, m].

    A score that is not usable counts as the lowest.
    """
    losses = tf.where(usable, -scores, np.float32(np.inf))
    ordered = tf.sort(losses, axis=-1)
    return tf.cast(tf.searchsorted(ordered, losses, side="left"), tf.float32)


def _item(model: RankingModel) -> Any:
    """What an item that was never trained on adds to the tables, its vector and its popularity.

    A function of its encoded features, ``item_*``, and its candidate vector, ``embedding`` float32 [k, dim].
    Its id vector is the first, which all items share that were never trained on.
    """
    items = model.items
    dim = None if items.linear else items.projection.shape[0]
    embedding = tf.TensorSpec([None, dim], tf.float32, name=EMBEDDING)
    specification = {EMBEDDING: embedding, **specifications.of_items(items.arrays)}

    @tf.function(input_signature=[specification], autograph=False)
    def item(inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        embeddings = inputs[EMBEDDING]
        count = tf.shape(embeddings)[0]
        vectors = items.content({name: inputs[ITEM_PREFIX + name] for name in items.arrays}, count)
        if not items.linear:
            vectors += items.ids[0] + tf.matmul(embeddings / items.scale, items.projection)
        return {VECTOR: vectors, POPULARITY: tf.fill([count], tf.constant(model.unwanted, tf.float32))}

    return item
