"""Newer items come up."""

from typing import Final

import numpy as np

from slate.recommend.arrays import Floats
from slate.recommend.attributes import Instants
from slate.retrieval.sources.records import NEVER

_MICROSECONDS_A_DAY: Final = 86_400_000_000


def with_freshness(scores: Floats, since: Instants, at: int, boost: float, half_life_days: float) -> Floats:
    """Scores plus ``boost * spread * 2 ** (-age / half life)``, the spread being the largest score less the
    lowest.

    So a boost means the same whatever the scores' unit, and for negative scores too. An item that comes
    after the request is as if it were new; one without an instant gains nothing.

    Args:
        scores: [n], finite.
        since: [n], microseconds since the epoch.
        at: the instant of the request.

    >>> day = 86_400_000_000
    >>> with_freshness(np.array([1, 3], np.float32), np.array([5 * day, 3 * day]), 5 * day, 0.5, 2.0).tolist()
    [2.0, 3.5]
    """
    if not len(scores):
        return scores
    known = since != NEVER
    days = np.where(known, np.maximum(at - np.where(known, since, at), 0) / _MICROSECONDS_A_DAY, np.inf)
    gain = boost * float(scores.max() - scores.min()) * np.exp2(-days / half_life_days)
    return (scores + gain).astype(np.float32)
