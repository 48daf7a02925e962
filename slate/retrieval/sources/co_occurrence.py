"""Item-to-item similarity from who had what near what."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from slate.config import CoOccurrenceSourceConfig
from slate.data.sequences import UserLog
from slate.retrieval.sources.meetings import meetings, wanted_items
from slate.retrieval.sources.neighbours import Neighbours, Pairs


def co_occurrence(
    log: UserLog, items: int, events: Sequence[int], config: CoOccurrenceSourceConfig
) -> Neighbours:
    """The closest neighbours of each item.

    With ``n_ij`` the times that i and j met, ``n_i`` the sum of i's meetings and ``n`` that of all:
    ``cosine`` is ``n_ij / sqrt(n_i n_j)`` (Ochiai 1957), in 0..1 and wary of chance; ``lift`` is
    ``n_ij n / (n_i n_j)``, above 1 where two items meet more often than independent ones would, and
    high for rare items.

    Args:
        log: what may be trained on.
        items: the size of the catalogue.
        events: codes of the interactions that count.
    """
    wanted, users = wanted_items(log, events)
    counts = sparse.csr_array((items, items), dtype=np.float64)
    for earlier, later in meetings(wanted, users, config.window):
        ones = np.ones(len(earlier))
        counts = counts + sparse.coo_array((ones, (earlier, later)), shape=(items, items)).tocsr()
    both = (counts + counts.T).tocoo()
    met = np.bincount(both.row, both.data, minlength=items)
    product = met[both.row] * met[both.col]
    scores = (
        both.data / np.sqrt(product) if config.similarity == "cosine" else both.data * met.sum() / product
    )
    pairs = Pairs(both.row.astype(np.int64), both.col.astype(np.int64), scores)
    return Neighbours.closest(items, pairs, config.neighbours)
