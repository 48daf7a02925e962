"""Not too much of one kind."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from slate.recommend.arrays import Places, Rows


class Cap(NamedTuple):
    """At most ``most`` items of a slate share one of the ``labels`` (by catalogue row)."""

    labels: Sequence[Sequence[str]]
    most: int


def capped(order: Iterable[int], rows: Rows, caps: Sequence[Cap], k: int) -> Places:
    """The first ``k`` places of ``order`` that no cap stops; what is stopped does not come back.

    Args:
        order: places of candidates, best first; no more of them are asked for than it takes.
        rows: their catalogue rows, by place.
    """
    return np.fromiter(islice(_passing(order, rows, caps), k), np.int64)


def _passing(order: Iterable[int], rows: Rows, caps: Sequence[Cap]) -> Iterator[int]:
    shown: list[Counter[str]] = [Counter() for _ in caps]
    for place in order:
        labels = [cap.labels[rows[place]] for cap in caps]
        full = any(
            counts[label] >= cap.most
            for cap, counts, own in zip(caps, shown, labels, strict=True)
            for label in own
        )
        if full:
            continue
        for counts, own in zip(shown, labels, strict=True):
            counts.update(own)
        yield place
