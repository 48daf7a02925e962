"""Not too much of one kind."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from slate.recommend.arrays import Places, Rows


class Cap(NamedTuple):
    """At most ``most`` items of a slate share one of the ``labels`` (by catalogue row)."""

    labels: Sequence[Sequence[str]]
    most: int


def capped(order: Places, rows: Rows, caps: Sequence[Cap], k: int) -> Places:
    """The first ``k`` places of ``order`` that no cap stops; what is stopped does not come back.

    Args:
        order: places of candidates, best first.
        rows: their catalogue rows, by place.
    """
    shown: list[Counter[str]] = [Counter() for _ in caps]
    picked: list[int] = []
    for place in order.tolist():
        if len(picked) == k:
            break
        labels = [cap.labels[rows[place]] for cap in caps]
        full = any(
            counts[label] >= cap.most
            for cap, counts, own in zip(caps, shown, labels, strict=True)
            for label in own
        )
        if full:
            continue
        picked.append(place)
        for counts, own in zip(shown, labels, strict=True):
            counts.update(own)
    return np.asarray(picked, np.int64)
