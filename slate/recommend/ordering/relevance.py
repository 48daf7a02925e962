"""Order by score alone."""

import numpy as np

from slate.recommend.arrays import Floats, Places


def by_score(scores: Floats, k: int) -> Places:
    """Positions of the ``k`` best finite scores, best first; ties keep the given order.

    A score that is not finite never reaches a slate: it sinks and is cut.

    >>> by_score(np.array([0.1, np.nan, 0.9, 0.1], np.float32), 3).tolist()
    [2, 0, 3]
    """
    finite = np.isfinite(scores)
    known = int(np.count_nonzero(finite))
    if known == len(scores):
        return (-scores).argsort(kind="stable")[:k]
    return np.where(finite, -scores, np.inf).argsort(kind="stable")[: min(k, known)]
