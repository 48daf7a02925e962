"""An exported ranking model that scores candidates. Needs plain TensorFlow only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from slate.data.features import EncodedArray, FeatureSpace
from slate.errors import ModelError
from slate.retrieval.query import (
    EMBEDDING,
    ITEM_PREFIX,
    Query,
    add_rows,
    encode_queries,
    put_rows,
)
from slate.retrieval.signature import Signature

SIGNATURE: Final = "score"
SCORE: Final = "score"
PROBABILITIES: Final = "probabilities"
VALUE: Final = "value"
ITEM: Final = "item"
VECTOR: Final = "vector"
POPULARITY: Final = "popularity"
_CANDIDATES: Final = "candidates"
_RETRIEVAL_SCORES: Final = "retrieval_scores"

_PAIRS_AT_ONCE: Final = 16_384

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Scores:
    """Of n queries with up to m candidates each, in the order of the candidates; 0 on padding.

    ``score`` float32 [n, m], ``probabilities`` float32 [n, m, events] in the order of
    ``FeatureSpace.events``, ``value`` float32 [n, m] the value expected of an interaction, ``lengths``
    int32 [n] the candidates of each query.
    """

    score: Float32
    probabilities: Float32
    value: Float32
    lengths: Int32


@dataclass(frozen=True)
class Ranker:
    """An exported ranking model. Safe to call from several threads.

    ``length`` is the longest history that is looked at, ``size`` how many rows it knows, the ``spare`` ones
    at the end included.
    """

    features: FeatureSpace
    length: int
    size: int
    _model: Any
    spare: int = 0

    @classmethod
    def open(cls, directory: str | Path, features: FeatureSpace, spare: int = 0) -> "Ranker":
        """Load the SavedModel in ``directory`` (the ``model`` folder of a ranker).

        Args:
            spare: rows to be added to its tables for items that it was not trained with; there are none where
                the model cannot tell what they are.

        Raises:
            ModelError: there is no ranking model, or it takes other inputs than ``features`` give.
        """
        import tensorflow as tf

        directory = Path(directory)
        if not (directory / "saved_model.pb").is_file():
            raise ModelError(
                f"ranker {directory}: no SavedModel there; name the model folder of a ranker artefact or the "
                "ranking/model folder of a release"
            )
        model = tf.saved_model.load(str(directory))
        if SIGNATURE not in model.signatures:
            raise ModelError(f"ranker {directory}: no signature {SIGNATURE!r}; it is not a ranking model")
        expected = set(model.signatures[SIGNATURE].structured_input_signature[1])
        given = set(encode_queries([], features, 1)) | {_CANDIDATES, _RETRIEVAL_SCORES}
        if expected != given:
            raise ModelError(
                f"ranker {directory}: takes the inputs {sorted(expected)} but the feature space gives "
                f"{sorted(given)}; use the features.json that was written with it"
            )
        length, size = int(model.history_length.numpy()), int(model.rows.numpy())
        if ITEM not in model.signatures:
            return cls(features, length, size, model)
        add_rows(model.item_table, spare)
        add_rows(model.popularity, spare)
        return cls(features, length, size + spare, model, spare)

    def put_items(self, rows: Int32, encoded: Mapping[str, EncodedArray], embeddings: Float32) -> None:
        """Say what stands in spare rows, before anybody asks for them.

        Args:
            encoded: features of items that were not trained with; ``embeddings`` [k, dim] their candidate
                vectors.

        Raises:
            ModelError: the model was exported without the part that tells them.
        """
        import tensorflow as tf

        if ITEM not in self._model.signatures:
            raise ModelError("ranker: knows no new items; train a release with this version of slate")
        inputs = {ITEM_PREFIX + name: tf.constant(array) for name, array in encoded.items()}
        inputs[EMBEDDING] = tf.constant(embeddings)
        answer = self._model.signatures[ITEM](**inputs)
        put_rows(self._model.item_table, rows, answer[VECTOR].numpy())
        put_rows(self._model.popularity, rows, answer[POPULARITY].numpy())

    def score(
        self,
        queries: Sequence[Query],
        candidates: Sequence[Int32],
        retrieval_scores: Sequence[Float32],
    ) -> Scores:
        """Score each query's own candidates.

        Args:
            queries: n of them.
            candidates: for each query int32 [m_i] catalogue rows.
            retrieval_scores: for each query float32 [m_i], what retrieval gave those rows. One that is not
                finite counts as the lowest.

        Raises:
            ModelError: the three differ in length, or a row is not in the catalogue.
        """
        lengths = np.asarray([len(rows) for rows in candidates], np.int32)
        self._check(queries, candidates, retrieval_scores, lengths)
        most = int(lengths.max(initial=0))
        shape = (len(queries), most)
        scores, values = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        probabilities = np.zeros((*shape, len(self.features.events)), np.float32)
        chunk = max(1, _PAIRS_AT_ONCE // max(most, 1))
        for start in range(0, len(queries) if most else 0, chunk):
            part = slice(start, min(start + chunk, len(queries)))
            answer = self._answer(queries[part], candidates[part], retrieval_scores[part], most)
            scores[part] = answer[SCORE]
            values[part] = answer[VALUE]
            probabilities[part] = answer[PROBABILITIES]
        return Scores(scores, probabilities, values, lengths)

    def _check(
        self,
        queries: Sequence[Query],
        candidates: Sequence[Int32],
        retrieval_scores: Sequence[Float32],
        lengths: Int32,
    ) -> None:
        if not len(queries) == len(candidates) == len(retrieval_scores):
            raise ModelError(
                f"ranker: {len(queries)} queries, {len(candidates)} lists of candidates and "
                f"{len(retrieval_scores)} of scores; give one of each a query"
            )
        for place, (rows, scores) in enumerate(zip(candidates, retrieval_scores, strict=True)):
            if len(rows) != len(scores):
                raise ModelError(
                    f"ranker: query {place} has {len(rows)} candidates and {len(scores)} retrieval scores; "
                    "give one score a candidate"
                )
            if lengths[place] and (np.min(rows) < 0 or np.max(rows) >= self.size):
                raise ModelError(
                    f"ranker: query {place} names catalogue row {int(np.max(rows))} (lowest "
                    f"{int(np.min(rows))}) of {self.size}; use the catalogue of the same release"
                )

    def _answer(
        self, queries: Sequence[Query], candidates: Sequence[Int32], scores: Sequence[Float32], width: int
    ) -> dict[str, Float32]:
        """One call of the model."""
        shape = (len(queries), width)
        rows, given = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
        for place, (own, own_scores) in enumerate(zip(candidates, scores, strict=True)):
            rows[place, : len(own)] = np.asarray(own) + 1
            given[place, : len(own)] = own_scores
        inputs = encode_queries(queries, self.features, self.length)
        return self._signature({**inputs, _CANDIDATES: rows, _RETRIEVAL_SCORES: given})

    @cached_property
    def _signature(self) -> Signature:
        return Signature(self._model, SIGNATURE)
