"""What a query tower is asked, as arrays, and an exported tower that answers.

Training, validation, evaluation and serving prepare queries with the same :func:`encode_queries`.
An exported tower needs plain TensorFlow only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from slate.data.features import EncodedArray, FeatureSpace, encode_records
from slate.data.sequences import History
from slate.errors import ModelError
from slate.retrieval.signature import Signature

HISTORY_ITEMS: Final = "history_items"
HISTORY_EVENTS: Final = "history_events"
HISTORY_AGES: Final = "history_ages"
USER_PREFIX: Final = "user_"
CONTEXT_PREFIX: Final = "context_"
ITEM_PREFIX: Final = "item_"
EMBEDDING: Final = "embedding"
CANDIDATE: Final = "candidate"
COUNTED: Final = "items"

_SIGNATURE: Final = "serving_default"
_CHUNK: Final = 256
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


@dataclass(frozen=True)
class QueryEncoder:
    """An exported query tower, ready to embed queries.

    ``length`` is the longest history that is looked at. Nothing is padded to a round size: a shape that
    TensorFlow has not met costs no more than one that it has, and padding is computed like the rest.
    """

    features: FeatureSpace
    length: int
    _tower: Any
    spare: int = 0

    @classmethod
    def open(
        cls, directory: str | Path, features: FeatureSpace, length: int, spare: int = 0
    ) -> "QueryEncoder":
        """Load the SavedModel in ``directory`` (the ``query_tower`` folder).

        Args:
            spare: rows to be added to its table for items that it was not trained with; there are none where
                the tower cannot tell their vectors.

        Raises:
            ModelError: there is no SavedModel there, or it takes other inputs than ``features`` give.
        """
        import tensorflow as tf

        directory = Path(directory)
        if not (directory / "saved_model.pb").is_file():
            raise ModelError(
                f"query tower {directory}: no SavedModel there; name the query_tower folder of a two_tower "
                "artefact or of a release"
            )
        tower = tf.saved_model.load(str(directory))
        expected = set(tower.signatures["serving_default"].structured_input_signature[1])
        given = set(encode_queries([], features, 1))
        if expected != given:
            raise ModelError(
                f"query tower {directory}: takes the inputs {sorted(expected)} but the feature space gives "
                f"{sorted(given)}; use the features.json that was written with it"
            )
        if CANDIDATE not in tower.signatures:
            return cls(features, length, tower)
        add_rows(tower.item_table, spare)
        return cls(features, length, tower, spare)

    def embed_items(self, encoded: Mapping[str, EncodedArray], count: int) -> npt.NDArray[np.float32]:
        """Candidate vectors, float32 [count, dim], of items by nothing but their encoded features.

        Raises:
            ModelError: the tower was exported without the part that tells them.
        """
        import tensorflow as tf

        if CANDIDATE not in self._tower.signatures:
            raise ModelError("query tower: knows no new items; train a release with this version of slate")
        inputs = {ITEM_PREFIX + name: tf.constant(array) for name, array in encoded.items()}
        inputs[COUNTED] = tf.zeros([count], tf.int32)
        vectors: npt.NDArray[np.float32] = self._tower.signatures[CANDIDATE](**inputs)[EMBEDDING].numpy()
        return vectors

    def put_items(self, rows: npt.NDArray[np.int32], vectors: npt.NDArray[np.float32]) -> None:
        """Say what stands in spare rows, before anybody asks for them."""
        put_rows(self._tower.item_table, rows, vectors)

    def embed(self, queries: Sequence[Query]) -> npt.NDArray[np.float32]:
        """Query embeddings, float32 [n, dim], in the order of ``queries``."""
        if not queries:
            return np.empty((0, self._signature.width(EMBEDDING)), np.float32)
        answers = []
        for start in range(0, len(queries), _CHUNK):
            chunk = queries[start : start + _CHUNK]
            longest = min(max(len(query.history.items) for query in chunk), self.length)
            inputs = encode_queries(chunk, self.features, max(longest, 1))
            answers.append(self._signature(inputs)[EMBEDDING])
        return np.concatenate(answers)

    @cached_property
    def _signature(self) -> Signature:
        return Signature(self._tower, _SIGNATURE)


def add_rows(table: Any, count: int) -> None:
    """Rows of zeros at the end of a table that was exported to grow."""
    import tensorflow as tf

    if count:
        table.assign(tf.concat([table, tf.zeros([count, *table.shape[1:]], table.dtype)], axis=0))


def put_rows(table: Any, rows: npt.NDArray[np.int32], values: npt.NDArray[np.float32]) -> None:
    """Replace some rows of such a table, while others may be read."""
    table.scatter_nd_update(rows[:, np.newaxis], values)
