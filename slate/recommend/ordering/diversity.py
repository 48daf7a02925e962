"""Order by score and by difference from what is above."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from slate.recommend.arrays import Floats, Places
from slate.recommend.ordering.relevance import by_score


def by_relevance_and_diversity(scores: Floats, embeddings: Floats, k: int, diversity: float) -> Places:
    """Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).

    Picks, one after the other, the candidate with the largest ``(1 - diversity) * relevance -
    diversity * max cosine similarity to what is already picked``, relevance being the scores scaled
    to 0..1 among the finite ones.

    Args:
        scores: [n]; not finite scores are never picked.
        embeddings: [n, dim], any length; cosine is taken here.
        diversity: 0 keeps the order by score, 1 ignores scores after the first pick.

    Returns:
        positions [min(k, finite scores)], in slate order.
    """
    if diversity == 0.0:
        return by_score(scores, k)
    return np.fromiter(islice(diverse(scores, embeddings, diversity), k), np.int64)


def diverse(scores: Floats, embeddings: Floats, diversity: float) -> Iterator[int]:
    """The same positions one after the other, for as long as somebody asks for the next."""
    pool = by_score(scores, len(scores))
    if pool.size == 0:
        return
    relevance = scores[pool].astype(np.float64)
    spread = relevance.max() - relevance.min()
    relevance = (relevance - relevance.min()) / spread if spread > 0 else np.ones_like(relevance)
    vectors = embeddings[pool].astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(norms > 0, norms, 1.0)
    weighted = (1 - diversity) * relevance
    closest = np.full(len(pool), -1.0)
    value = np.empty(len(pool))
    picked = np.zeros(len(pool), np.bool_)
    best = 0
    yield int(pool[best])
    for _ in range(1, len(pool)):
        picked[best] = True
        np.maximum(closest, vectors @ vectors[best], out=closest)
        np.multiply(closest, diversity, out=value)
        np.subtract(weighted, value, out=value)
        value[picked] = -np.inf
        best = int(value.argmax())
        yield int(pool[best])
