"""An exported ranking model that scores candidates, without TensorFlow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from slate.data.features import EncodedArray, FeatureSpace
from slate.errors import ModelError
from slate.litert import table
from slate.litert.function import LiteFunction
from slate.retrieval.query import (
    EMBEDDING,
    HISTORY_ITEMS,
    HISTORY_VECTORS,
    ITEM_PREFIX,
    Query,
    encode_queries,
)

#: Of the SavedModel.
SIGNATURE: Final = "score"
SCORE: Final = "score"
PROBABILITIES: Final = "probabilities"
VALUE: Final = "value"
OUTPUTS: Final = (SCORE, PROBABILITIES, VALUE)
VECTOR: Final = "vector"
POPULARITY: Final = "popularity"
CANDIDATES: Final = "candidates"
RETRIEVAL_SCORES: Final = "retrieval_scores"
RANKS: Final = "ranks"
CANDIDATE_VECTORS: Final = "candidate_vectors"
#: Of the compiled functions, and of the tables beside them.
SCORE_FILE: Final = "score.tflite"
ITEM_FILE: Final = "item.tflite"
TABLE_FILE: Final = "item_table.npy"
POPULARITY_FILE: Final = "popularity.npy"

#: Pairs of a query and a candidate that go through the model at once: what it computes for more does not
#: stay in a core's own cache.
_PAIRS_AT_ONCE: Final = 512

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
    spare: int
    _score: LiteFunction
    _item: LiteFunction
    _vectors: Float32
    _popularity: Float32

    @classmethod
    def open(cls, directory: str | Path, features: FeatureSpace, spare: int = 0) -> "Ranker":
        """Open what lies in ``directory`` (the ``model`` folder of a ranker).

        Args:
            spare: rows to be added to its tables for items that it was not trained with.

        Raises:
            ModelError: there is no ranking model, or it takes other inputs than ``features`` give.
        """
        directory = Path(directory)
        if not (directory / SCORE_FILE).is_file():
            raise ModelError(
                f"ranker {directory}: no {SCORE_FILE} there; name the model folder of a ranker artefact or "
                "the ranking/model folder of a release, or train again with this version of slate"
            )
        score, item = LiteFunction(directory / SCORE_FILE), LiteFunction(directory / ITEM_FILE)
        vectors, popularity = (table.read(directory / name, spare) for name in (TABLE_FILE, POPULARITY_FILE))
        expected = set(score.inputs)
        given = set(encode_queries([], features, 1)) | {
            *(CANDIDATES, RETRIEVAL_SCORES, RANKS),
            *(CANDIDATE_VECTORS, HISTORY_VECTORS, POPULARITY),
        }
        if expected != given:
            raise ModelError(
                f"ranker {directory}: takes the inputs {sorted(expected)} but the feature space gives "
                f"{sorted(given)}; use the features.json that was written with it"
            )
        if vectors.shape != (len(popularity), score.width(CANDIDATE_VECTORS)) or popularity.ndim != 1:
            raise ModelError(
                f"ranker {directory}: {TABLE_FILE} has the shape {list(vectors.shape)} and {POPULARITY_FILE} "
                f"{list(popularity.shape)}; {score.width(CANDIDATE_VECTORS)} numbers a row and one "
                "popularity are wanted, so train again"
            )
        length = score.width(HISTORY_ITEMS)
        return cls(features, length, len(vectors), spare, score, item, vectors, popularity)

    def put_items(self, rows: Int32, encoded: Mapping[str, EncodedArray], embeddings: Float32) -> None:
        """Say what stands in spare rows, before anybody asks for them.

        Args:
            encoded: features of items that were not trained with; ``embeddings`` [k, dim] their candidate
                vectors.
        """
        if not len(rows):
            return
        inputs = {ITEM_PREFIX + name: array for name, array in encoded.items()}
        answer = self._item({**inputs, EMBEDDING: embeddings})
        self._vectors[rows] = answer[VECTOR]
        self._popularity[rows] = answer[POPULARITY]

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
        shape = (len(queries), int(lengths.max(initial=0)))
        scores, values = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        probabilities = np.zeros((*shape, len(self.features.events)), np.float32)
        inputs = self._inputs(queries, candidates, retrieval_scores, shape) if all(shape) else {}
        chunk = max(1, _PAIRS_AT_ONCE // max(shape[1], 1))
        for start in range(0, shape[0] if inputs else 0, chunk):
            part = slice(start, start + chunk)
            answer = self.answer({name: array[part] for name, array in inputs.items()})
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

    def _inputs(
        self,
        queries: Sequence[Query],
        candidates: Sequence[Int32],
        scores: Sequence[Float32],
        shape: tuple[int, int],
    ) -> dict[str, EncodedArray]:
        rows, given = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
        for place, (own, own_scores) in enumerate(zip(candidates, scores, strict=True)):
            rows[place, : len(own)] = np.asarray(own) + 1
            given[place, : len(own)] = own_scores
        inputs = encode_queries(queries, self.features, self.length)
        return {**inputs, CANDIDATES: rows, RETRIEVAL_SCORES: given}

    def answer(self, inputs: Mapping[str, EncodedArray]) -> dict[str, Float32]:
        """What the SavedModel's signature answers to the same inputs; histories have ``length`` places."""
        candidates, history = (np.asarray(inputs[name], np.int32) - 1 for name in (CANDIDATES, HISTORY_ITEMS))
        # Padding takes the first row; what it gives is hidden in the end.
        return self._score(
            {
                **inputs,
                RANKS: _ranks(np.asarray(inputs[RETRIEVAL_SCORES], np.float32), candidates >= 0),
                CANDIDATE_VECTORS: self._vectors.take(candidates, axis=0, mode="clip"),
                HISTORY_VECTORS: self._vectors.take(history, axis=0, mode="clip"),
                POPULARITY: self._popularity.take(candidates, mode="clip"),
            }
        )


def _ranks(scores: Float32, real: npt.NDArray[np.bool_]) -> Float32:
    """How many candidates of the same row have a higher score, float32 [n, m]; one that is not real or has no
    finite score counts as the lowest.
    """
    losses = np.where(real & np.isfinite(scores), -scores, np.float32(np.inf))
    ordered = np.sort(losses, axis=1)
    ranks = np.empty(losses.shape, np.float32)
    for own, rank, loss in zip(ordered, ranks, losses, strict=True):
        rank[:] = own.searchsorted(loss)
    return ranks
