"""Requests with everything the model knows of them laid open, so that any of it can be replaced.

Nothing here touches the trained model or what was exported of it: a question carries its own inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from slate.data.features import EncodedArray
from slate.ranking.model import Items, RankingModel
from slate.ranking.scorer import CANDIDATES, RANKS, RETRIEVAL_SCORES, SCORE
from slate.ranking.served import INTERACTION, ServedRanker
from slate.ranking.served import ranks as ranks_of
from slate.retrieval.query import HISTORY_ITEMS

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_PAIRS_AT_ONCE: Final = 16_384


@dataclass(frozen=True)
class Asked:
    """n requests with c candidates each.

    ``query`` are encoded inputs by name, [n, ...]. Of the candidates, ``identity`` int32 [n, c] is the
    catalogue row whose own vectors enter, ``content`` the encoded item features by name, [n, c, ...],
    ``popularity`` float32 [n, c] as the model takes it, ``scores`` and ``ranks`` float32 [n, c] what
    retrieval said; ``present`` bool [n, c] is False on padding.
    """

    query: Mapping[str, EncodedArray]
    identity: Int32
    content: Mapping[str, EncodedArray]
    popularity: Float32
    scores: Float32
    ranks: Float32
    present: Mask

    def __len__(self) -> int:
        return len(self.present)

    def take(self, part: slice | Int64) -> Self:
        """Some of the requests."""
        return replace(
            self,
            query={name: array[part] for name, array in self.query.items()},
            content={name: array[part] for name, array in self.content.items()},
            **{name: getattr(self, name)[part] for name in _CELLS},
        )

    def candidates(self, places: Int64) -> Self:
        """The candidates at ``places`` int64 [n, m] of each request."""
        rows = np.arange(len(self))[:, np.newaxis]
        return replace(
            self,
            content={name: array[rows, places] for name, array in self.content.items()},
            **{name: getattr(self, name)[rows, places] for name in _CELLS},
        )


#: The arrays [n, c] of a question.
_CELLS: Final = ("identity", "popularity", "scores", "ranks", "present")


class Answers(NamedTuple):
    """What the ranker orders by, and the probability of an interaction; float32 [n, c], 0 on padding."""

    score: Float32
    probability: Float32


def asked_of(
    model: RankingModel, items: Items, query: Mapping[str, EncodedArray], rows: Int32, scores: Float32
) -> Asked:
    """The question as it is served.

    Args:
        query: encoded inputs of n requests.
        rows: int32 [n, c], -1 on padding.
        scores: float32 [n, c].
    """
    present = rows >= 0
    known = np.maximum(rows, 0)
    given = np.where(present, scores, 0.0).astype(np.float32)
    return Asked(
        query=query,
        identity=known,
        content={name: array[known] for name, array in items.content.items()},
        popularity=model.popularity[known],
        scores=given,
        ranks=ranks_of(tf.constant(given), tf.constant(present)).numpy(),
        present=present,
    )


class Asker:
    """Asks a trained model. ``asked`` names every item that later questions may hold."""

    def __init__(self, model: RankingModel, served: ServedRanker, items: Items, asked: Asked) -> None:
        self._model, self._served = model, served
        history = np.asarray(asked.query[HISTORY_ITEMS])
        self._known = np.unique(np.concatenate([asked.identity.ravel(), history[history > 0] - 1]))
        self._vectors: Float32 = model.items(tf.constant(self._known.astype(np.int32))).numpy()
        # An item's vector is what its features add to its own.
        self._own = self._vectors - self._content({n: a[self._known] for n, a in items.content.items()})
        self._last: tuple[Mapping[str, EncodedArray], Float32] | None = None

    def answer(self, asked: Asked) -> Answers:
        """Score every candidate."""
        width = asked.present.shape[1]
        own = self._own[np.searchsorted(self._known, asked.identity)]
        cells = own + self._features(asked).reshape(own.shape)
        step = max(1, _PAIRS_AT_ONCE // max(width, 1))
        empty = np.zeros((0, width), np.float32)
        parts = [Answers(empty, empty)]
        for start in range(0, len(asked), step):
            part = slice(start, start + step)
            parts.append(self._answer(asked.take(part), cells[part]))
        return Answers(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def _answer(self, asked: Asked, cells: Float32) -> Answers:
        """One batch: each candidate has a vector of its own, [n, c, width], after the histories' items."""
        size, before = asked.present.size, len(self._known)
        history = np.asarray(asked.query[HISTORY_ITEMS])
        places = np.searchsorted(self._known, history - 1) + 1
        numbers = (before + 1 + np.arange(size, dtype=np.int32)).reshape(asked.present.shape)
        inputs = {name: tf.constant(array) for name, array in asked.query.items()} | {
            HISTORY_ITEMS: tf.constant(np.where(history > 0, places, 0).astype(np.int32)),
            CANDIDATES: tf.constant(np.where(asked.present, numbers, 0).astype(np.int32)),
            RETRIEVAL_SCORES: tf.constant(asked.scores),
            RANKS: tf.constant(asked.ranks),
        }
        table = np.concatenate([self._vectors, cells.reshape(size, cells.shape[-1])])
        popularity = np.concatenate([np.zeros(before, np.float32), asked.popularity.ravel()])
        answer = self._served.answer_over(inputs, tf.constant(table), tf.constant(popularity))
        return Answers(answer[SCORE].numpy(), answer[INTERACTION].numpy())

    def _features(self, asked: Asked) -> Float32:
        """What the features of each candidate add, [n * c, width]; most questions leave them alone."""
        if self._last is None or self._last[0] is not asked.content:
            size = asked.present.size
            flat = {name: array.reshape(size, *array.shape[2:]) for name, array in asked.content.items()}
            parts = [np.zeros((0, self._own.shape[1]), np.float32)]
            for start in range(0, size, _PAIRS_AT_ONCE):
                part = slice(start, start + _PAIRS_AT_ONCE)
                parts.append(self._content({name: array[part] for name, array in flat.items()}))
            vectors = np.concatenate(parts) if flat else np.zeros((size, self._own.shape[1]), np.float32)
            self._last = asked.content, vectors
        return self._last[1]

    def _content(self, arrays: Mapping[str, EncodedArray]) -> Float32:
        count = len(next(iter(arrays.values()))) if arrays else 1
        tensors = {name: tf.constant(array) for name, array in arrays.items()}
        vectors: Float32 = self._model.items.content(tensors, count).numpy()
        return vectors
