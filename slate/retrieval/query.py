"""What a query tower is asked, as arrays, and an exported tower that answers.

Training, validation, evaluation and serving prepare queries with the same :func:`encode_queries`.
An exported tower needs plain TensorFlow only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from slate.data.features import EncodedArray, FeatureSpace, encode_records
from slate.data.sequences import History
from slate.errors import ModelError

HISTORY_ITEMS: Final = "history_items"
HISTORY_EVENTS: Final = "history_events"
HISTORY_AGES: Final = "history_ages"
USER_PREFIX: Final = "user_"
CONTEXT_PREFIX: Final = "context_"
EMBEDDING: Final = "embedding"

_CHUNK: Final = 256
_SHORTEST: Final = 16
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

    ``length`` is the longest history that is looked at. Histories are padded to a power of two, and
    batches to one, so that TensorFlow meets few distinct shapes.
    """

    features: FeatureSpace
    length: int
    _tower: Any

    @classmethod
    def open(cls, directory: str | Path, features: FeatureSpace, length: int) -> "QueryEncoder":
        """Load the SavedModel in ``directory`` (the ``query_tower`` folder).

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
        return cls(features, length, tower)

    def embed(self, queries: Sequence[Query]) -> npt.NDArray[np.float32]:
        """Query embeddings, float32 [n, dim], in the order of ``queries``."""
        import tensorflow as tf

        signature = self._tower.signatures["serving_default"]
        if not queries:
            dim = signature.structured_outputs[EMBEDDING].shape[-1]
            return np.empty((0, dim), np.float32)
        answers = []
        for start in range(0, len(queries), _CHUNK):
            chunk = queries[start : start + _CHUNK]
            longest = min(max(len(query.history.items) for query in chunk), self.length)
            length = min(power_of_two(max(longest, _SHORTEST)), self.length)
            inputs = _pad_rows(encode_queries(chunk, self.features, length), power_of_two(len(chunk)))
            answer = signature(**{name: tf.constant(array) for name, array in inputs.items()})
            answers.append(answer[EMBEDDING].numpy()[: len(chunk)])
        return np.concatenate(answers)


def power_of_two(size: int) -> int:
    """The smallest power of two that is not below ``size``, so that few distinct shapes are met."""
    return 1 << (size - 1).bit_length()


def _pad_rows(inputs: Mapping[str, EncodedArray], rows: int) -> dict[str, EncodedArray]:
    missing = rows - len(inputs[HISTORY_ITEMS])
    return {name: array[_repeat_last(len(array), missing)] for name, array in inputs.items()}


def _repeat_last(size: int, missing: int) -> npt.NDArray[np.int64]:
    return np.minimum(np.arange(size + missing), size - 1)
