"""Reading the events again from any position that is kept."""

import io
from datetime import timedelta
from typing import Final

import pyarrow.parquet as pq

from slate.clock import from_microseconds
from slate.config import FeedbackConfig
from slate.feedback.batches import EXPOSURES
from slate.feedback.consumer import BEHIND_SECONDS, LOG
from slate.feedback.join import packed
from slate.feedback.partitions import events_stream
from slate.feedback.queue import Queue
from slate.feedback.records import Place, received_of
from slate.feedback.shown import ShownSlates
from slate.storage import ObjectStore

_DAY: Final = timedelta(days=1)


def replay(
    queue: Queue, shown: ShownSlates, store: ObjectStore, config: FeedbackConfig, partition: int, after: int
) -> int:
    """Let consumers read a partition again: files are replaced, histories stay as they are.

    The slates that outcomes of then answered are taken from the log, since the index has forgotten them.

    Args:
        after: the position behind which reading begins; 0 for all.

    Returns:
        how many records are read again.

    Raises:
        NotFoundError: records after the position are not kept any more.
        StorageError: the queue or the store cannot be reached.
    """
    stream = events_stream(partition)
    begin = next((entry.record for entry in queue.read(stream, after, 1)), None)
    received = received_of(begin) if begin is not None else None
    if received is not None:
        oldest = from_microseconds(received) - timedelta(seconds=config.window_s) - _DAY
        _index_again(shown, store, oldest.date().isoformat(), config.window_s + BEHIND_SECONDS)
    queue.rewind(stream, LOG, after)
    return queue.depth(stream, LOG)


def _index_again(shown: ShownSlates, store: ObjectStore, oldest_day: str, seconds: float) -> None:
    for key in store.list(f"{EXPOSURES}/date="):
        if key.split("=", 1)[1].partition("/")[0] < oldest_day:
            continue
        table = pq.read_table(io.BytesIO(store.read(key)), columns=["exposure_id", "items"])
        slates = {}
        for row in table.to_pylist():
            places = {item["item_id"]: Place(item["position"], item["propensity"]) for item in row["items"]}
            slates[row["exposure_id"]] = packed(places)
        shown.put(slates, seconds)
