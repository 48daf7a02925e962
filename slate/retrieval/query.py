"""What a query tower is asked, as arrays, and an exported tower that answers.

Training, validation, evaluation and serving prepare queries with the same :func:`encode_queries`.
An exported tower needs no TensorFlow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from slate import columns
from slate.data.features import EncodedArray, FeatureSpace, encode_records
from slate.data.sequences import History
from slate.errors import ModelError
from slate.litert import table
from slate.litert.function import LiteFunction

HISTORY_ITEMS: Final = "history_items"
HISTORY_EVENTS: Final = "history_events"
HISTORY_AGES: Final = "history_ages"
HISTORY_VECTORS: Final = "history_vectors"
USER_PREFIX: Final = "user_"
CONTEXT_PREFIX: Final = "context_"
ITEM_PREFIX: Final = "item_"
EMBEDDING: Final = "embedding"
COUNTED: Final = "items"
#: Of the SavedModel.
TOWER_SIGNATURE: Final = "serving_default"
#: Of the compiled functions.
EMBED_FILE: Final = "embed.tflite"
CANDIDATE_FILE: Final = "candidate.tflite"

#: Queries that are embedded at once.
_CHUNK: Final = 32
_MICROSECONDS: Final = 1e6


@dataclass(frozen=True)
class Query:
    """One request: a history of catalogue rows, the instant of the request, and raw features.

    ``at`` is in microseconds since the epoch. The history must lie before it. ``user`` and
    ``context`` hold raw values by feature name; a feature that is absent counts as missing.
    """

    history: History
    at: int
    user: Mapping[str, object] = field(default_factory=dict)
    context: Mapping[str, object] = field(default_factory=dict)


def log_ages(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """log1p of ages in seconds; an age below zero counts as zero."""
    return np.log1p(np.maximum(seconds, 0.0)).astype(np.float32)


def encode_queries(queries: Sequence[Query], features: FeatureSpace, length: int) -> dict[str, EncodedArray]:
    """The query tower's inputs for n queries, by input name.

    ``history_items`` (catalogue row + 1), ``history_events`` and ``history_ages`` (log1p of seconds
    before the request) are [n, length], right-aligned, 0 for padding; only the last ``length``
    interactions of a longer history enter. ``user_*`` and ``context_*`` have the shapes that
    :mod:`slate.data.features` gives.
    """
    shape = (len(queries), length)
    items = np.zeros(shape, np.int32)
    events = np.zeros(shape, np.int32)
    ages = np.zeros(shape, np.float32)
    for row, query in enumerate(queries):
        history = query.history.last(length)
        size = len(history.items)
        if size:
            items[row, -size:] = history.items + 1
            events[row, -size:] = history.events
            ages[row, -size:] = log_ages((query.at - history.times) / _MICROSECONDS)
    encoded: dict[str, EncodedArray] = {HISTORY_ITEMS: items, HISTORY_EVENTS: events, HISTORY_AGES: ages}
    users = encode_records(features.users, [query.user for query in queries])
    context = encode_records(features.context, [query.context for query in queries])
    encoded |= {f"{USER_PREFIX}{name}": array for name, array in users.items()}
    encoded |= {f"{CONTEXT_PREFIX}{name}": array for name, array in context.items()}
    return encoded


def _round(length: int) -> int:
    """The next power of two."""
    return 1 << max(length - 1, 0).bit_length()


@dataclass(frozen=True)
class QueryEncoder:
    """An exported query tower, ready to embed queries. Safe to call from several threads.

    ``length`` is the longest history that is looked at; ``vectors`` float32 [rows + spare, dim] are the
    candidates' by catalogue row. Histories are padded to a few round lengths, since each other shape
    costs :class:`slate.litert.function.LiteFunction` as much as a short history does.
    """

    features: FeatureSpace
    length: int
    spare: int
    vectors: npt.NDArray[np.float32]
    _embed: LiteFunction
    _candidate: LiteFunction | None

    @classmethod
    def open(
        cls, directory: str | Path, features: FeatureSpace, length: int, spare: int = 0
    ) -> "QueryEncoder":
        """Open the ``query_tower`` folder; the candidates' vectors lie beside it.

        Args:
            spare: rows to be added to them for items that the tower was not trained with.

        Raises:
            ModelError: there is no tower, or it takes other inputs than ``features`` give.
        """
        directory = Path(directory)
        if not (directory / EMBED_FILE).is_file():
            raise ModelError(
                f"query tower {directory}: no {EMBED_FILE} there; name the query_tower folder of a two_tower "
                "artefact or of a release, or train again with this version of slate"
            )
        embed = LiteFunction(directory / EMBED_FILE)
        candidate = LiteFunction(directory / CANDIDATE_FILE) if spare else None
        expected = set(embed.inputs)
        given = {*encode_queries([], features, 1), HISTORY_VECTORS}
        if expected != given:
            raise ModelError(
                f"query tower {directory}: takes the inputs {sorted(expected)} but the feature space gives "
                f"{sorted(given)}; use the features.json that was written with it"
            )
        vectors = table.read(directory.parent / columns.EMBEDDINGS_FILE, spare)
        dim = embed.width(HISTORY_VECTORS)
        if vectors.ndim != 2 or vectors.shape[1] != dim:
            raise ModelError(
                f"query tower {directory}: {columns.EMBEDDINGS_FILE} has the shape {list(vectors.shape)}, "
                f"{dim} numbers a row are wanted; train again"
            )
        return cls(features, length, spare, vectors, embed, candidate)

    def embed_items(self, encoded: Mapping[str, EncodedArray], count: int) -> npt.NDArray[np.float32]:
        """Candidate vectors, float32 [count, dim], of items by nothing but their encoded features.

        Raises:
            ModelError: it was opened without spare rows.
        """
        if self._candidate is None:
            raise ModelError("query tower: opened without spare rows, so it places no new items")
        if not count:
            return np.empty((0, self.vectors.shape[1]), np.float32)
        inputs = {ITEM_PREFIX + name: array for name, array in encoded.items()}
        vectors: npt.NDArray[np.float32] = self._candidate({**inputs, COUNTED: np.zeros(count, np.int32)})[
            EMBEDDING
        ]
        return vectors

    def put_items(self, rows: npt.NDArray[np.int32], vectors: npt.NDArray[np.float32]) -> None:
        """Say what stands in spare rows, before anybody asks for them."""
        self.vectors[rows] = vectors

    def embed(self, queries: Sequence[Query]) -> npt.NDArray[np.float32]:
        """Query embeddings, float32 [n, dim], in the order of ``queries``."""
        answers = [np.empty((0, self.vectors.shape[1]), np.float32)]
        for start in range(0, len(queries), _CHUNK):
            chunk = queries[start : start + _CHUNK]
            longest = max(len(query.history.items) for query in chunk)
            inputs = encode_queries(chunk, self.features, min(_round(longest), self.length))
            answers.append(self.answer(inputs)[EMBEDDING])
        return np.concatenate(answers)

    def answer(self, inputs: Mapping[str, EncodedArray]) -> dict[str, npt.NDArray[np.float32]]:
        """What the SavedModel's signature answers to the same inputs."""
        # Padding takes the first row; the tower puts its start token there.
        history = np.asarray(inputs[HISTORY_ITEMS], np.int32) - 1
        vectors = self.vectors.take(history, axis=0, mode="clip")
        return self._embed({**inputs, HISTORY_VECTORS: vectors})
