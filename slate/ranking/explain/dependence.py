"""Partial dependence: what the ranker answers, on average, as one input takes one value after another.

Friedman (2001, Greedy Function Approximation, section 8.2): the mean over rows of the answer with the input
held at a value and the rest as it was. The band is of the individual conditional expectations (Goldstein
et al., 2015, Peeking Inside the Black Box), the answers of single rows, of which that is the mean.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from slate.config import FeatureKind
from slate.data.features import RESERVED, EncodedArray, FeatureEncoder, FeatureSpace
from slate.ranking.explain.asking import Asked, Asker, Float32, Int64, Mask
from slate.ranking.explain.record import Band, Curve, Scale
from slate.ranking.explain.shuffling import (
    CONTEXT,
    HISTORY,
    ITEM,
    LENGTH,
    POPULARITY,
    RETRIEVAL,
    SCORE,
    USER,
)
from slate.retrieval.query import (
    CONTEXT_PREFIX,
    HISTORY_AGES,
    HISTORY_EVENTS,
    HISTORY_ITEMS,
    USER_PREFIX,
)

LAST: Final = "time since the last"

_POINTS: Final = 11
_CATEGORIES: Final = 8
_LENGTHS: Final = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500)
_OUTER: Final = (0.1, 0.9)
_WITHIN: Final = (0.02, 0.98)
_CATEGORICAL: Final = (FeatureKind.ID, FeatureKind.CATEGORICAL, FeatureKind.CATEGORICAL_LIST)

Held = Callable[[int], Asked]


class _Question(NamedTuple):
    """``held(number)`` is the question with the input at ``values[number]``."""

    group: str
    name: str
    scale: Scale
    values: tuple[float | str, ...]
    held: Held


def curves(
    asker: Asker,
    whole: Asked,
    asked: Asked,
    features: FeatureSpace,
    counts: Int64,
    popularity: Float32,
) -> tuple[Curve, ...]:
    """A curve for each number, category and property of the history that takes two values or more.

    Numbers go from their 2% to their 98% quantile, categories through the most frequent ones; text has no
    curve. A category list is held at the one category. The rank of a candidate follows its retrieval score.

    Args:
        whole: all candidates of each request.
        asked: the candidates to sum up, of the same requests.
        features: the encoders of the inputs.
        counts: training interactions by catalogue row.
        popularity: the same as the model takes it.
    """
    if not len(asked):
        return ()
    questions = [
        *_item_features(asked, features),
        *_query_features(asked, USER, USER_PREFIX, features.users),
        *_query_features(asked, CONTEXT, CONTEXT_PREFIX, features.context),
        *_popularity(asked, counts, popularity),
        *_retrieval_score(whole, asked),
        *_history_length(asked),
        *_last_age(asked),
    ]
    return tuple(_curve(asker, question) for question in questions if len(question.values) > 1)


def _curve(asker: Asker, question: _Question) -> Curve:
    scores, probabilities = [], []
    for number in range(len(question.values)):
        asked = question.held(number)
        answers = asker.answer(asked)
        scores.append(answers.score[asked.present])
        probabilities.append(answers.probability[asked.present])
    return Curve(
        group=question.group,
        name=question.name,
        scale=question.scale,
        values=question.values,
        rows=len(scores[0]),
        score=_band(scores),
        probability=_band(probabilities),
    )


def _band(points: Sequence[Float32]) -> Band:
    stacked = np.stack(points).astype(np.float64)
    low, high = np.quantile(stacked, _OUTER, axis=1)
    return Band(mean=tuple(stacked.mean(axis=1).tolist()), low=tuple(low.tolist()), high=tuple(high.tolist()))


def _item_features(asked: Asked, features: FeatureSpace) -> Iterator[_Question]:
    for encoder in features.items:
        array = asked.content[encoder.name]

        def put(held: EncodedArray, name: str = encoder.name) -> Asked:
            return replace(asked, content={**asked.content, name: held})

        yield from _feature(ITEM, encoder, array, array[asked.present], put)


def _query_features(
    asked: Asked, group: str, prefix: str, encoders: Sequence[FeatureEncoder]
) -> Iterator[_Question]:
    for encoder in encoders:
        array = asked.query[prefix + encoder.name]

        def put(held: EncodedArray, name: str = prefix + encoder.name) -> Asked:
            return _with_query(asked, {name: held})

        yield from _feature(group, encoder, array, array, put)


def _feature(
    group: str,
    encoder: FeatureEncoder,
    array: EncodedArray,
    seen: EncodedArray,
    put: Callable[[EncodedArray], Asked],
) -> Iterator[_Question]:
    """One encoded feature; ``seen`` [rows, ...] says which values there are."""
    if encoder.kind in (FeatureKind.NUMERIC, FeatureKind.TIMESTAMP):
        known = seen[seen[:, 1] == 0, 0]
        grid = _grid(known)
        scale: Scale = "instant" if encoder.kind is FeatureKind.TIMESTAMP else "number"

        def at(number: int) -> Asked:
            held = np.zeros_like(array)
            held[..., 0] = grid[number]
            return put(held)

        yield _Question(
            group, encoder.name, scale, tuple(float(v) * encoder.std + encoder.mean for v in grid), at
        )
    elif encoder.kind in _CATEGORICAL:
        codes, rows = np.unique(seen[seen >= RESERVED], return_counts=True)
        common = codes[np.argsort(-rows, kind="stable")][:_CATEGORIES]
        listed = encoder.kind is FeatureKind.CATEGORICAL_LIST

        def one(number: int) -> Asked:
            held = np.zeros_like(array)
            held[..., *((0,) if listed else ())] = common[number]
            return put(held)

        labels = tuple(encoder.vocabulary[code - RESERVED] for code in common)
        yield _Question(group, encoder.name, "category", labels, one)


def _grid(values: npt.NDArray[np.floating] | Int64) -> npt.NDArray[np.float64]:
    """Distinct quantiles, evenly spaced."""
    if not len(values):
        return np.empty(0)
    levels = np.linspace(*_WITHIN, _POINTS)
    return np.unique(np.quantile(values, levels, method="nearest").astype(np.float64))


def _popularity(asked: Asked, counts: Int64, popularity: Float32) -> Iterator[_Question]:
    rows = asked.identity[asked.present]
    grid = _grid(counts[rows])
    taken = popularity[rows][[int(np.flatnonzero(counts[rows] == value)[0]) for value in grid]]

    def at(number: int) -> Asked:
        return replace(asked, popularity=np.full_like(asked.popularity, taken[number]))

    yield _Question(ITEM, POPULARITY, "count", tuple(grid.tolist()), at)


def _retrieval_score(whole: Asked, asked: Asked) -> Iterator[_Question]:
    grid = _grid(whole.scores[whole.present])

    def at(number: int) -> Asked:
        value = np.float32(grid[number])
        before = (whole.present & (whole.scores > value)).sum(axis=1, keepdims=True)
        others = before - (asked.scores > value)
        return replace(
            asked, scores=np.full_like(asked.scores, value), ranks=np.maximum(others, 0).astype(np.float32)
        )

    yield _Question(RETRIEVAL, SCORE, "number", tuple(grid.tolist()), at)


def _history_length(asked: Asked) -> Iterator[_Question]:
    """The history cut to its last entries; a shorter one stays as it is."""
    width = asked.query[HISTORY_ITEMS].shape[1]
    longest = int(_present(asked).sum(axis=1).max())
    lengths = [*(n for n in _LENGTHS if n < longest), longest]

    def at(number: int) -> Asked:
        kept = np.arange(width) >= width - lengths[number]
        cut = {}
        for name in (HISTORY_ITEMS, HISTORY_EVENTS, HISTORY_AGES):
            cut[name] = asked.query[name].copy()
            cut[name][:, ~kept] = 0
        return _with_query(asked, cut)

    yield _Question(HISTORY, LENGTH, "count", tuple(float(n) for n in lengths), at)


def _last_age(asked: Asked) -> Iterator[_Question]:
    """The whole history moved in time; requests without one are left out."""
    chosen = np.flatnonzero(_present(asked)[:, -1])
    if not len(chosen):
        return
    some = asked.take(chosen)
    ages = np.expm1(some.query[HISTORY_AGES].astype(np.float64))
    grid = _grid(ages[:, -1])

    def at(number: int) -> Asked:
        moved = np.maximum(ages + grid[number] - ages[:, -1:], 0.0)
        return _with_query(
            some, {HISTORY_AGES: np.where(_present(some), np.log1p(moved), 0.0).astype(np.float32)}
        )

    yield _Question(HISTORY, LAST, "duration", tuple(grid.tolist()), at)


def _present(asked: Asked) -> Mask:
    there: Mask = np.asarray(asked.query[HISTORY_ITEMS]) > 0
    return there


def _with_query(asked: Asked, changed: Mapping[str, EncodedArray]) -> Asked:
    return replace(asked, query={**asked.query, **changed})
