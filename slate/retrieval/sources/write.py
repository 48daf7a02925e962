"""Write what the sources of a release need into its folder."""

from collections.abc import Sequence
from pathlib import Path

from slate.config import RecommendConfig
from slate.data.holdout import Split
from slate.data.sequences import UserLog
from slate.retrieval.sources import co_occurrence, item2vec, records
from slate.retrieval.sources.neighbours import CO_OCCURRENCE_FILE, ITEM2VEC_FILE


def write_sources(
    config: RecommendConfig, split: Split, everything: UserLog, targets: Sequence[str], content: Path
) -> None:
    """Write the tables of those sources that are on, and the records of items.

    Neighbours are learnt from what may be trained on, as the two-tower model is: the gate measures the
    release on what came later.

    Args:
        targets: names of the events that say an item was wanted.
    """
    items = len(split.catalogue)
    train = split.train_log()
    events = [split.features.event_code(name) for name in targets if name in split.features.events]
    records.ItemRecords.of(train, everything, items, events).write(content / records.FILE)
    sources = config.sources
    if sources.co_occurrence.count:
        found = co_occurrence.co_occurrence(train, items, events, sources.co_occurrence)
        found.write(content / CO_OCCURRENCE_FILE)
    if sources.item2vec.count:
        item2vec.item2vec(train, items, events, sources.item2vec).write(content / ITEM2VEC_FILE)
