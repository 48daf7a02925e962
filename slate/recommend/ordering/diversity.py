"""Order by score and by difference from what is above."""

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
    pool = by_score(scores, len(scores))
    if pool.size == 0:
        return pool
    relevance = scores[pool].astype(np.float64)
    spread = relevance.max() - relevance.min()
    relevance = (relevance - relevance.min()) / spread if spread > 0 else np.ones_like(relevance)
    vectors = embeddings[pool].astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.where(norms > 0, norms, 1.0)
    closest = np.full(len(pool), -1.0)
    free = np.ones(len(pool), dtype=bool)
    picked: list[int] = []
    for _ in range(min(k, len(pool))):
        value = relevance if not picked else (1 - diversity) * relevance - diversity * closest
        best = int(np.argmax(np.where(free, value, -np.inf)))
        picked.append(best)
        free[best] = False
        closest = np.maximum(closest, vectors @ vectors[best])
    return pool[np.asarray(picked, dtype=np.int64)]
