"""Writing a trained model down: the served query tower, the candidates, and proof that they agree."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from slate import columns
from slate.data.features import EncodedArray
from slate.litert import convert
from slate.retrieval import specifications
from slate.retrieval.query import (
    CANDIDATE_FILE,
    COUNTED,
    EMBED_FILE,
    EMBEDDING,
    HISTORY_VECTORS,
    ITEM_PREFIX,
    TOWER_SIGNATURE,
)
from slate.retrieval.towers import CandidateTower
from slate.retrieval.two_tower import TwoTower, looked_up
from slate.retrieval.weights import SHARED

QUERY_TOWER: Final = "query_tower"


class ServedQueryTower(tf.Module):
    """The query tower as it is exported: item table inside, one signature with named inputs.

    A plain module, because saving the Keras model would trace ``call`` again with its own argument
    names. Batch and history length are dynamic. ``example`` are encoded queries, of any number, that
    say which inputs there are.
    """

    def __init__(
        self, model: TwoTower, table: npt.NDArray[np.float32], example: Mapping[str, EncodedArray]
    ) -> None:
        super().__init__(name=QUERY_TOWER)
        # The variables alone: tracking the Keras layers would also save their own serialisation.
        self._weights = list(model.query_tower.trainable_variables)
        self._embed_known = model.embed_known
        self.item_table = tf.Variable(table, trainable=False, name="item_table")
        inputs = specifications.of_queries(example)
        vectors = tf.TensorSpec([None, None, table.shape[1]], tf.float32, name=HISTORY_VECTORS)
        # Traced once: what is saved looks vectors up and calls what is compiled.
        self._known = tf.function(
            self._serve_known, input_signature=[{**inputs, HISTORY_VECTORS: vectors}], autograph=False
        )
        self.serve = tf.function(self._serve, input_signature=[inputs], autograph=False)

    def save(self, directory: Path) -> None:
        """Write the SavedModel, and beside it the same compiled, which takes vectors from outside."""
        tf.saved_model.save(self, str(directory), signatures={TOWER_SIGNATURE: self.serve})
        convert.write(self._known, directory / EMBED_FILE)

    def _serve(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, Any]:
        vectors = looked_up(inputs, self.item_table)
        answer: dict[str, Any] = self._known({**inputs, HISTORY_VECTORS: vectors})
        return answer

    def _serve_known(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, Any]:
        return {EMBEDDING: self._embed_known(inputs, inputs[HISTORY_VECTORS])}


def export(model: TwoTower, queries: Mapping[str, EncodedArray], out: Path) -> None:
    """Write ``query_tower/``, ``candidate_embeddings.npy`` and ``parity.npz`` into ``out``.

    ``queries`` are the encoded queries whose answers, from the model in memory, go into
    ``parity.npz`` beside the inputs.
    """
    table = model.candidate_embeddings()
    np.save(out / columns.EMBEDDINGS_FILE, table)
    answers = model.embed({name: tf.constant(array) for name, array in queries.items()}, tf.constant(table))
    arrays: dict[str, Any] = {**queries, EMBEDDING: answers.numpy()}
    np.savez(out / columns.PARITY_FILE, **arrays)
    ServedQueryTower(model, table, queries).save(out / QUERY_TOWER)
    ServedNewcomers(model.candidate_tower).save(out / QUERY_TOWER / CANDIDATE_FILE)


class ServedNewcomers:
    """The candidate tower for items that it was not trained with: content, and the id vector that items
    share of which it saw too little.

    Inputs are their encoded features, ``item_*``, and ``items`` int32 [k], any k numbers.
    """

    def __init__(self, tower: CandidateTower) -> None:
        self._embed = None if tower.features is None else tower.features.call
        self._names = tuple(tower.content)
        self._shared = tf.constant(tower.ids.numpy()[SHARED])
        counted = tf.TensorSpec([None], tf.int32, name=COUNTED)
        inputs = {COUNTED: counted, **specifications.of_items(tower.content)}
        self._served = tf.function(self._serve, input_signature=[inputs], autograph=False)

    def save(self, file: Path) -> None:
        """Write it compiled."""
        convert.write(self._served, file)

    def _serve(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, Any]:
        vectors = tf.zeros([tf.shape(inputs[COUNTED])[0], 1]) + self._shared
        if self._embed is not None:
            vectors += self._embed({name: inputs[ITEM_PREFIX + name] for name in self._names})
        return {EMBEDDING: vectors}
