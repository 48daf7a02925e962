"""What a training batch of the tower asks."""

from collections.abc import Iterator

import numpy as np

from slate.retrieval.batches import Batch


def questions(batch: Batch) -> Iterator[tuple[int, list[int]]]:
    """The queries of a batch, each with the catalogue rows to predict from it."""
    real = batch["target_weights"] > 0
    owners, items = batch["target_query"][real], batch["target_items"][real]
    order = np.argsort(owners, kind="stable")
    queries, starts = np.unique(owners[order], return_index=True)
    for query, group in zip(queries.tolist(), np.split(items[order], starts[1:]), strict=True):
        yield query, group.tolist()
