"""A recommender as rankers that an evaluation can ask: the whole funnel, and retrieval alone."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from slate.data.vocabulary import IdMap
from slate.evaluation.measure import Ranker
from slate.evaluation.metrics import PADDING
from slate.evaluation.targets import Targets
from slate.recommend.recommender import Ask, Recommender

Int32 = npt.NDArray[np.int32]

_CHUNK: Final = 256


def funnel_ranker(recommender: Recommender, asks: Sequence[Ask], items: IdMap) -> Ranker:
    """All stages: retrieve, filter, score. ``asks`` are by table row; ``items`` is the evaluation's map."""

    def answer(chunk: Sequence[Ask], k: int) -> list[Int32]:
        return [ranked.rows[:k] for ranked in recommender.rank(chunk)]

    return _ranker(recommender, asks, items, answer)


def retrieval_ranker(recommender: Recommender, asks: Sequence[Ask], items: IdMap) -> Ranker:
    """The first two stages alone, in the order of the retrieval scores."""
    return _ranker(recommender, asks, items, recommender.retrieve)


def _ranker(
    recommender: Recommender,
    asks: Sequence[Ask],
    items: IdMap,
    answer: Callable[[Sequence[Ask], int], list[Int32]],
) -> Ranker:
    own = recommender.catalogue.ids.ids
    to_map = items.known_rows(own)
    if len(to_map) != len(own):
        raise ValueError("the evaluation's item map lacks items of a recommender that it compares")

    def rank(targets: Targets, k: int) -> Int32:
        ranked = np.full((len(targets), k), PADDING, np.int32)
        for start in range(0, len(targets), _CHUNK):
            chunk = [asks[int(row)] for row in targets.rows[start : start + _CHUNK]]
            for offset, rows in enumerate(answer(chunk, k)):
                ranked[start + offset, : len(rows[:k])] = to_map[rows[:k]]
        return ranked

    return rank
